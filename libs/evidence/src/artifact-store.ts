import { artifactUri, mediaClassOf, type ArtifactKind, type ArtifactRef, type MediaClass } from '@tyrum/protocol';
import type { Reader, StateStore, Tx } from '@tyrum/statestore';
import { Artifacts, type ArtifactRecord } from '@tyrum/statestore/records';
import type { BlobStore, ByteRange, Bytes, OpenBlob } from './blob-store';

/** What an artifact is, besides its bytes. */
export interface NewArtifact {
  readonly tenantId: string;
  readonly turnId?: string;
  readonly stepIndex?: number;
  readonly kind: ArtifactKind;
  readonly filename: string;
  readonly mimeType?: string;
  readonly labels?: readonly string[];
}

/** An artifact with its bytes open. */
export interface OpenArtifact extends OpenBlob {
  readonly artifact: ArtifactRef;
}

export interface ArtifactStoreOptions {
  readonly newId: () => string;
  readonly nowMs: () => number;
  /** Where this deployment serves an artifact's bytes, as an absolute or root-relative URL. */
  readonly urlOf?: (artifactId: string) => string;
}

const FILENAME_LENGTH = 255;
/** The artifacts of one turn that are shown. */
const LISTED = 1_000;

/**
 * Evidence: rows in the state store, bytes in a blob store. The bytes come first and the row after them, so that a row
 * always has its bytes; a crash in between leaves bytes without a row, which cost room and nothing else.
 */
export class ArtifactStore {
  private readonly urlOf: (artifactId: string) => string;

  constructor(
    private readonly store: StateStore,
    private readonly blobs: BlobStore,
    private readonly options: ArtifactStoreOptions,
  ) {
    this.urlOf = options.urlOf ?? ((id) => `/v1/artifacts/${id}`);
  }

  /** Stores an artifact in a transaction of its own. @throws {BlobTooLargeError} {StoreUnavailableError} */
  async create(artifact: NewArtifact, bytes: Bytes): Promise<ArtifactRef> {
    const record = await this.putBytes(artifact, bytes);
    await this.store.transaction((tx) => this.insert(tx, record));
    return this.toRef(record);
  }

  /**
   * Stores the bytes and hands back the row to insert, for a caller who commits it together with other things: no
   * transaction may be open while bytes are written.
   */
  async putBytes(artifact: NewArtifact, bytes: Bytes): Promise<ArtifactRecord> {
    const { sha256, size } = await this.blobs.put(artifact.tenantId, bytes);
    return {
      tenant_id: artifact.tenantId,
      artifact_id: this.options.newId(),
      turn_id: artifact.turnId ?? null,
      step_index: artifact.stepIndex ?? null,
      kind: artifact.kind,
      media_class: artifact.mimeType ? mediaClassOf(artifact.mimeType) : 'other',
      filename: fileNameOf(artifact.filename),
      mime_type: artifact.mimeType ?? null,
      size_bytes: size,
      sha256,
      labels: [...(artifact.labels ?? [])],
      created_at: this.options.nowMs(),
    };
  }

  /** Inserts the row of `putBytes` in the caller's transaction. */
  async insert(tx: Tx, record: ArtifactRecord): Promise<ArtifactRef> {
    await tx.records(Artifacts).insert(record);
    return this.toRef(record);
  }

  /** The newest artifacts of a turn, oldest first. */
  async listByTurn(tenantId: string, turnId: string): Promise<ArtifactRef[]> {
    const rows = await this.store.read((reader) =>
      reader.records(Artifacts).find({
        where: { tenant_id: tenantId, turn_id: turnId },
        order: { created_at: 'DESC', artifact_id: 'DESC' },
        take: LISTED,
      }),
    );
    return rows.reverse().map((row) => this.toRef(row));
  }

  /** What an artifact is, without its bytes. @param artifactId a UUID */
  async find(tenantId: string, artifactId: string): Promise<ArtifactRef | undefined> {
    const record = await this.store.read((reader) => recordOf(reader, tenantId, artifactId));
    return record ? this.toRef(record) : undefined;
  }

  /**
   * Opens an artifact's bytes.
   * @param artifactId a UUID
   * @returns `undefined` when this tenant has no such artifact, or its bytes are gone
   * @throws {RangeError} for a range outside of it
   */
  async open(tenantId: string, artifactId: string, range?: ByteRange): Promise<OpenArtifact | undefined> {
    const record = await this.store.read((reader) => recordOf(reader, tenantId, artifactId));
    if (!record) return undefined;
    const blob = await this.blobs.open(tenantId, record.sha256, range);
    return blob && { ...blob, artifact: this.toRef(record) };
  }

  private toRef(record: ArtifactRecord): ArtifactRef {
    return {
      artifact_id: record.artifact_id,
      uri: artifactUri(record.artifact_id),
      external_url: this.urlOf(record.artifact_id),
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
}

function recordOf(reader: Reader, tenantId: string, artifactId: string): Promise<ArtifactRecord | null> {
  return reader.records(Artifacts).findOneBy({ tenant_id: tenantId, artifact_id: artifactId });
}

/** A name a browser may save under: no folders, no control characters. */
function fileNameOf(name: string): string {
  const base = name.split(/[\\/]/).at(-1) ?? '';
  return base.replace(/[\p{Cc}\p{Cf}]/gu, '').slice(0, FILENAME_LENGTH) || 'artifact';
}
