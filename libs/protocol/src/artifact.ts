import { LIMITS } from './limits';
import { PageQuery, type Page } from './page';
import { OneOf, Optional, Text, TextList, Uuid } from './payload-fields';

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

const URI = 'artifact://';

/** The id in an `artifact://<uuid>`; undefined for what is no such reference at all. An id that is none is handed back as it is. */
export function artifactIdOf(uri: string): string | undefined {
  return uri.startsWith(URI) ? uri.slice(URI.length) : undefined;
}

/** `POST /v1/artifacts`: what the body is. Its media type is the request's `Content-Type`. */
export class ArtifactUploadQuery {
  @Text(LIMITS.labelLength)
  filename: string = 'artifact';

  @OneOf(ARTIFACT_KINDS)
  kind: ArtifactKind = 'file';

  @Optional()
  @TextList(LIMITS.artifactLabels, LIMITS.labelLength)
  labels?: string[];

  /** The turn it belongs to from the start. Without one it is its uploader's alone until a message brings it to a turn. */
  @Optional()
  @Uuid()
  turn_id?: string;
}

/** `GET /v1/turns/:id/artifacts`. */
export class ArtifactListQuery extends PageQuery {}

export interface ArtifactList extends Page {
  /** The newest so many before the cursor, oldest first. */
  artifacts: ArtifactRef[];
}

/** What sort of medium a MIME type is, for `media_class`. */
export function mediaClassOf(mimeType: string): MediaClass {
  const [type = ''] = mimeType.toLowerCase().split('/');
  if (type === 'image' || type === 'audio' || type === 'video') return type;
  return type === 'text' || /^application\/(pdf|json|xml|msword|vnd\.)/i.test(mimeType) ? 'document' : 'other';
}
