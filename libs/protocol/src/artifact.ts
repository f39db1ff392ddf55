export const ARTIFACT_KINDS = [
  'screenshot',
  'diff',
  'log',
  'dom_snapshot',
  'http_trace',
  'receipt',
  'file',
  'other',
] as const;
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number];

export const MEDIA_CLASSES = ['image', 'audio', 'video', 'document', 'other'] as const;
export type MediaClass = (typeof MEDIA_CLASSES)[number];

/** Evidence: what it is and where its bytes are. */
export interface ArtifactRef {
  artifact_id: string;
  /** `artifact://<uuid>`: stable, the same in every deployment. */
  uri: string;
  /** Where this deployment serves the bytes. */
  external_url: string;
  kind: ArtifactKind;
  media_class: MediaClass;
  created_at: string;
  filename: string;
  mime_type?: string;
  size_bytes?: number;
  /** Lower-case hex. */
  sha256?: string;
  labels: string[];
}

/** `artifact://<uuid>`. */
export function artifactUri(artifactId: string): `artifact://${string}` {
  return `artifact://${artifactId}`;
}

/** What sort of medium a MIME type is, for `media_class`. */
export function mediaClassOf(mimeType: string): MediaClass {
  const [type = ''] = mimeType.toLowerCase().split('/');
  if (type === 'image' || type === 'audio' || type === 'video') return type;
  return type === 'text' || /^application\/(pdf|json|xml|msword|vnd\.)/i.test(mimeType) ? 'document' : 'other';
}
