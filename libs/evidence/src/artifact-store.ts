import { appendEvents } from '@tyrum/outbox';
import type { ArtifactRef } from '@tyrum/protocol';
import type { Reader, StateStore, Tx } from '@tyrum/statestore';
import { Artifacts, LessThan, type ArtifactRecord } from '@tyrum/statestore/records';
import { attachedEvent, createdEvent, refusedEvent } from './artifact-events';
import { newRecord, toRef, type NewArtifact } from './artifact-record';
import { attachArtifacts, findReadable } from './sql/attach-artifacts';
import { BlobCorruptError, BlobMissingError, BlobTooLargeError } from './blob-store';
import { artifactPath } from './step-artifacts';
import { StoredBytes, StoredBytesExceededError } from './stored-bytes';
import type { BlobInfo, BlobStore, ByteRange, Bytes, ExpectedBlob, OpenBlob } from './blob-store';

/** Who asks for an artifact. What belongs to a turn is the tenant's; what does not yet, its uploader's alone. */
export interface ArtifactReader {
  readonly tenantId: string;
  /** Absent: nobody who could have uploaded anything. */
  readonly tokenId?: string;
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
  /** What the artifacts of a tenant may take that has no quota of its own; absent: anything. */
  readonly maxStoredBytes?: number;
}

/** The artifacts of one turn that are shown. */
const LISTED = 1_000;

/**
 * Evidence: rows in the state store, bytes in a blob store. The bytes come first and the row after them, so that a row
 * always has its bytes; a crash in between leaves bytes without a row, which cost room and nothing else. The events of a row
 * are in its commit.
 */
export class ArtifactStore {
  private readonly urlOf: (artifactId: string) => string;
  private readonly stored: StoredBytes;

  constructor(
    private readonly store: StateStore,
    private readonly blobs: BlobStore,
    private readonly options: ArtifactStoreOptions,
  ) {
    this.urlOf = options.urlOf ?? artifactPath;
    this.stored = new StoredBytes(store, options.maxStoredBytes);
  }

  /**
   * Stores an artifact in a transaction of its own.
   * @throws {BlobTooLargeError} {BlobStoreFullError} {StoredBytesExceededError} {StoreUnavailableError}
   */
  async create(artifact: NewArtifact, bytes: Bytes): Promise<ArtifactRef> {
    const record = await this.putBytes(artifact, bytes);
    try {
      return await this.store.transaction((tx) => this.insert(tx, record));
    } catch (error) {
      await this.abandon(record);
      throw error;
    }
  }

  /**
   * Stores the bytes and hands back the row to insert, for a caller who commits it together with other things: no
   * transaction may be open while bytes are written. Who does not insert it abandons it.
   * @throws {BlobTooLargeError} {BlobMismatchError} {BlobStoreFullError} {StoredBytesExceededError}
   */
  async putBytes(artifact: NewArtifact, bytes: Bytes, expected: ExpectedBlob = {}): Promise<ArtifactRecord> {
    const artifactId = this.options.newId();
    const blob = await this.putWithin({ ...artifact, artifactId }, bytes, expected);
    return newRecord(artifact, blob, { artifactId, createdAt: this.options.nowMs() });
  }

  /** What `putBytes` gave is not inserted: its room is free again, and its bytes are the blob sweep's. Never rejects. */
  async abandon({ tenant_id: tenantId, artifact_id: artifactId }: ArtifactRecord): Promise<void> {
    // Of what could not be given back, the time runs out.
    await this.stored.giveBack({ tenantId, artifactId }).catch(() => undefined);
  }

  /** Tells a turn's watchers that an artifact of it was refused, where nothing else of the turn would say so. Publish `outbox` afterwards. */
  async tellRefused(
    { tenantId, turnId, filename }: NewArtifact & { readonly turnId: string },
    why: Error,
  ): Promise<void> {
    const stamp = { eventId: this.options.newId(), nowMs: this.options.nowMs() };
    const event = refusedEvent(tenantId, turnId, `${filename} was not kept: ${why.message}`, stamp);
    await this.store.transaction((tx) => appendEvents(tx, [event]));
  }

  /** Stores bytes for which there is room in the tenant's quota. */
  private async putWithin(
    name: { readonly tenantId: string; readonly artifactId: string },
    bytes: Bytes,
    expected: ExpectedBlob,
  ): Promise<BlobInfo> {
    const { tenantId } = name;
    const size = bytes instanceof Uint8Array ? bytes.length : expected.size;
    const quota = await this.stored.requireRoom(tenantId, size);
    if (!quota) return this.blobs.put(tenantId, bytes, expected);
    const room = quota.max - quota.stored;
    const maxBytes = Math.min(room, expected.maxBytes ?? Infinity);
    let asked = false;
    const admit = (blob: BlobInfo): Promise<void> => {
      asked = true;
      return this.stored.keepRoom(name, blob.size);
    };
    try {
      return await this.blobs.put(tenantId, bytes, { ...expected, maxBytes, admit });
    } catch (error) {
      // Also where it is not known whether the room was kept. What cannot be given back now runs out.
      if (asked) await this.stored.giveBack(name).catch(() => undefined);
      if (!(error instanceof BlobTooLargeError) || error.maxBytes !== room) throw error;
      throw new StoredBytesExceededError(quota.max, quota.stored);
    }
  }

  /** Inserts the row of `putBytes`, with its events, in the caller's transaction. @throws {StoredBytesExceededError} */
  async insert(tx: Tx, record: ArtifactRecord): Promise<ArtifactRef> {
    await tx.records(Artifacts).insert(record);
    const { tenant_id: tenantId, artifact_id: artifactId, size_bytes: size } = record;
    await this.stored.settleIn(tx, { tenantId, artifactId }, size);
    const artifact = toRef(record, this.urlOf);
    const attached = record.turn_id === null ? [] : [this.attached(record, artifact, record.turn_id)];
    const { newId: eventId, nowMs } = this.options;
    await appendEvents(tx, [createdEvent(record, artifact, { eventId: eventId(), nowMs: nowMs() }), ...attached]);
    return artifact;
  }

  /**
   * Makes artifacts that belong to no turn yet belong to this one, in the caller's transaction; those that do belong to one
   * stay where they are. The caller has found that whoever wants this may read them.
   */
  async attachIn(tx: Tx, tenantId: string, turnId: string, artifactIds: readonly string[]): Promise<void> {
    if (artifactIds.length === 0) return;
    const list = JSON.stringify(artifactIds);
    const changed = await tx.query<{ artifact_id: string }>(attachArtifacts, [tenantId, turnId, list]);
    const found = await Promise.all(
      changed.map(({ artifact_id }) => tx.records(Artifacts).findOneByOrFail({ tenant_id: tenantId, artifact_id })),
    );
    await appendEvents(
      tx,
      found.map((record) => this.attached(record, toRef(record, this.urlOf), turnId)),
    );
  }

  /** Which of these artifacts, by their ids, the reader may read. */
  async readable({ tenantId, tokenId }: ArtifactReader, artifactIds: readonly string[]): Promise<ReadonlySet<string>> {
    const params = [tenantId, tokenId ?? null, JSON.stringify(artifactIds)];
    const rows = await this.store.read((db) => db.query<{ artifact_id: string }>(findReadable, params));
    return new Set(rows.map(({ artifact_id }) => artifact_id));
  }

  /** The artifacts of a turn, newest first; `after` is the last one of the page before. */
  async listByTurn(
    tenantId: string,
    turnId: string,
    { limit = LISTED, after }: { readonly limit?: number; readonly after?: { at: number; id: string } } = {},
  ): Promise<ArtifactRef[]> {
    const own = { tenant_id: tenantId, turn_id: turnId };
    const older = after && [
      { ...own, created_at: LessThan(after.at) },
      { ...own, created_at: after.at, artifact_id: LessThan(after.id) },
    ];
    const rows = await this.store.read((reader) =>
      reader.records(Artifacts).find({
        where: older ?? own,
        order: { created_at: 'DESC', artifact_id: 'DESC' },
        take: limit,
      }),
    );
    return rows.map((row) => toRef(row, this.urlOf));
  }

  /** What an artifact is, without its bytes. @param artifactId a UUID */
  async find(reader: ArtifactReader, artifactId: string): Promise<ArtifactRef | undefined> {
    const record = await this.store.read((db) => recordOf(db, reader, artifactId));
    return record && toRef(record, this.urlOf);
  }

  /**
   * Opens an artifact's bytes.
   * @param artifactId a UUID
   * @returns `undefined` when this reader has no such artifact
   * @throws {RangeError} for a range outside of it
   * @throws {BlobMissingError} {BlobCorruptError}
   */
  async open(reader: ArtifactReader, artifactId: string, range?: ByteRange): Promise<OpenArtifact | undefined> {
    const artifact = await this.find(reader, artifactId);
    return artifact && { artifact, ...(await this.openBytes(reader.tenantId, artifact, range)) };
  }

  /** The bytes of an artifact that was found. @throws {RangeError} {BlobMissingError} {BlobCorruptError} */
  async openBytes(
    tenantId: string,
    { sha256 = '', size_bytes }: Pick<ArtifactRef, 'sha256' | 'size_bytes'>,
    range?: ByteRange,
  ): Promise<OpenBlob> {
    const blob = await this.blobs.open(tenantId, sha256, range);
    if (!blob) throw new BlobMissingError(sha256);
    if (blob.size === size_bytes) return blob;
    // Of a part nothing else would tell that the rest is not what it was.
    blob.stream.destroy();
    throw new BlobCorruptError(sha256);
  }

  private attached(record: ArtifactRecord, artifact: ArtifactRef, turnId: string) {
    return attachedEvent(record.tenant_id, artifact, turnId, {
      eventId: this.options.newId(),
      nowMs: this.options.nowMs(),
    });
  }
}

async function recordOf(
  db: Reader,
  { tenantId, tokenId }: ArtifactReader,
  artifactId: string,
): Promise<ArtifactRecord | undefined> {
  const record = await db.records(Artifacts).findOneBy({ tenant_id: tenantId, artifact_id: artifactId });
  if (!record || (record.turn_id === null && record.uploaded_by !== (tokenId ?? ''))) return undefined;
  return record;
}
