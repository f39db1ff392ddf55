import { isJsonObject, type JsonValue } from './json';
import { ARTIFACT_KINDS, type ArtifactKind } from './artifact';

/** Evidence that is a file: kept as an artifact with these bytes. An addition of ours to what `attempt.evidence` leaves open. */
export interface EvidenceFile {
  readonly kind: ArtifactKind;
  readonly filename: string;
  readonly mime_type: string;
  readonly content_base64: string;
}

const FIELDS = ['kind', 'filename', 'mime_type', 'content_base64'];

/** The file that evidence is; undefined when it is anything else, which is kept as the JSON it is. */
export function evidenceFileOf(evidence: JsonValue | undefined): EvidenceFile | undefined {
  if (!isJsonObject(evidence) || Object.keys(evidence).length !== FIELDS.length) return undefined;
  const { kind, filename, mime_type, content_base64 } = evidence;
  const isFile =
    ARTIFACT_KINDS.some((known) => known === kind) &&
    typeof filename === 'string' &&
    /^[\w.-]{1,128}$/.test(filename) &&
    typeof mime_type === 'string' &&
    /^[a-z]+\/[a-z0-9.+-]{1,64}$/.test(mime_type) &&
    typeof content_base64 === 'string' &&
    /^[A-Za-z0-9+/]+={0,2}$/.test(content_base64);
  return isFile ? { kind: kind as ArtifactKind, filename, mime_type, content_base64 } : undefined;
}
