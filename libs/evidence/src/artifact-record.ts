import { artifactUri, mediaClassOf, type ArtifactKind, type ArtifactRef, type MediaClass } from '@tyrum/protocol';
import type { ArtifactRecord } from '@tyrum/statestore/records';
import type { BlobInfo } from './blob-store';

/** What an artifact is, besides its bytes. */
export interface NewArtifact {
  readonly tenantId: string;
  readonly turnId?: string;
  readonly stepIndex?: number;
  /** The token that uploads it; absent for what a step leaves. */
  readonly uploadedBy?: string;
  readonly kind: ArtifactKind;
  readonly filename: string;
  readonly mimeType?: string;
  readonly labels?: readonly string[];
}

const FILENAME_LENGTH = 255;

/** The row of an artifact whose bytes are stored. */
export function newRecord(
  artifact: NewArtifact,
  { sha256, size }: BlobInfo,
  { artifactId, createdAt }: { readonly artifactId: string; readonly createdAt: number },
): ArtifactRecord {
  return {
    tenant_id: artifact.tenantId,
    artifact_id: artifactId,
    turn_id: artifact.turnId ?? null,
    step_index: artifact.stepIndex ?? null,
    kind: artifact.kind,
    media_class: artifact.mimeType ? mediaClassOf(artifact.mimeType) : 'other',
    filename: fileNameOf(artifact.filename),
    mime_type: artifact.mimeType ?? null,
    size_bytes: size,
    sha256,
    labels: [...(artifact.labels ?? [])],
    created_at: createdAt,
    uploaded_by: artifact.uploadedBy ?? null,
  };
}

/** A row in its wire shape. */
export function toRef(record: ArtifactRecord, urlOf: (artifactId: string) => string): ArtifactRef {
  return {
    artifact_id: record.artifact_id,
    uri: artifactUri(record.artifact_id),
    external_url: urlOf(record.artifact_id),
    kind: record.kind as ArtifactKind,
    media_class: record.media_class as MediaClass,
    created_at: new Date(record.created_at).toISOString(),
    filename: record.filename,
    ...(record.mime_type === null ? {} : { mime_type: record.mime_type }),
    size_bytes: record.size_bytes,
    sha256: record.sha256,
    labels: record.labels,
  };
}

/** A name a browser may save under: no folders, no control characters, no half of a character. */
function fileNameOf(name: string): string {
  const base = name.split(/[\\/]/).at(-1) ?? '';
  const plain = base.replace(/[\p{Cc}\p{Cf}]/gu, '').slice(0, FILENAME_LENGTH);
  // Whoever encodes it for a header would fail on a surrogate without its other half.
  return plain.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '') || 'artifact';
}
