import type { Backplane } from '@tyrum/backplane';
import {
  measureBytes,
  type ArtifactReader,
  type ArtifactStore,
  type Bytes,
  type ExpectedBlob,
  type NewArtifact,
} from '@tyrum/evidence';
import type { IdempotencyKey } from '@tyrum/idempotency';
import {
  ContractError,
  isUuid,
  payloadFingerprint,
  WireError,
  type ArtifactList,
  type ArtifactRef,
  type PageQuery,
} from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import type { TurnStore } from '@tyrum/statestore/turns';
import { notFound } from '../failures';
import { BY_TIME, readPage } from './list-cursor';
import type { Answered, Once } from './once';

export interface ArtifactPorts {
  readonly store: StateStore;
  readonly turns: TurnStore;
  readonly artifacts: ArtifactStore;
  readonly once: Once;
  readonly backplane: Backplane;
}

/** What clients do with artifacts. */
export class ArtifactDesk {
  constructor(private readonly ports: ArtifactPorts) {}

  /**
   * Keeps an upload. A copy of a request under the same key sends its bytes again, and is answered with the first one's artifact
   * when they and what is said about them are the same.
   * @throws {WireError} not_found for a turn that is not the tenant's, before a byte is read
   * @throws {KeyReusedError} {BlobTooLargeError} {BlobMismatchError} {BlobStoreFullError} {StoredBytesExceededError}
   */
  async upload(
    key: IdempotencyKey,
    artifact: NewArtifact,
    bytes: Bytes,
    expected: ExpectedBlob,
  ): Promise<Answered<ArtifactRef>> {
    const { artifacts, once, backplane } = this.ports;
    if (artifact.turnId !== undefined) await this.requireTurn(artifact.tenantId, artifact.turnId);
    if (await once.isKnown(key)) return this.copy(key, bytes, expected);
    const record = await artifacts.putBytes(artifact, bytes, expected);
    let isInserted = false;
    try {
      const done = await once.run(keyOf(key, record.sha256), async (tx) => {
        // The turn may have been swept away while the bytes came; what belongs to it goes with it.
        if (record.turn_id !== null && !(await this.ports.turns.find(tx, record.tenant_id, record.turn_id))) {
          throw notFound('turn');
        }
        return artifacts.insert(tx, record);
      });
      isInserted = !done.replayed;
      backplane.publish('outbox');
      return done;
    } finally {
      if (!isInserted) await artifacts.abandon(record);
    }
  }

  /** A copy of an upload that is kept already needs no room: its bytes are only held against the first one's. */
  private async copy(key: IdempotencyKey, bytes: Bytes, expected: ExpectedBlob): Promise<Answered<ArtifactRef>> {
    const { sha256 } = await measureBytes(bytes, expected);
    const earlier = await this.ports.once.earlier<ArtifactRef>(keyOf(key, sha256));
    if (!earlier) throw new WireError('conflict', 'the idempotency key expired meanwhile: send the request again');
    return earlier;
  }

  /** @throws {WireError} not_found */
  async find(reader: ArtifactReader, artifactId: string): Promise<ArtifactRef> {
    const artifact = await this.ports.artifacts.find(reader, artifactId);
    if (!artifact) throw notFound('artifact');
    return artifact;
  }

  /** @throws {WireError} not_found for the turn @throws {ContractError} for a cursor that is none of ours */
  async listByTurn(tenantId: string, turnId: string, query: PageQuery, field = 'query'): Promise<ArtifactList> {
    await this.requireTurn(tenantId, turnId);
    const { rows, next } = await readPage(
      query,
      BY_TIME,
      {
        read: (page) => this.ports.artifacts.listByTurn(tenantId, turnId, page),
        placeOf: ({ created_at, artifact_id }) => ({ at: Date.parse(created_at), id: artifact_id }),
      },
      field,
    );
    return { artifacts: rows.reverse(), ...next };
  }

  /**
   * Checks the artifacts that somebody refers to.
   * @param references where each stands and its id
   * @throws {ContractError} for what is no id @throws {WireError} not_found for what this reader may not read
   */
  async requireReadable(
    reader: ArtifactReader,
    references: readonly { readonly field: string; readonly artifactId: string }[],
  ): Promise<string[]> {
    for (const { field, artifactId } of references) {
      if (!isUuid(artifactId)) throw ContractError.at(field, 'artifactUri', 'must be artifact://<uuid>');
    }
    const ids = [...new Set(references.map(({ artifactId }) => artifactId))];
    if (ids.length === 0) return ids;
    const readable = await this.ports.artifacts.readable(reader, ids);
    if (ids.some((id) => !readable.has(id))) throw notFound('artifact');
    return ids;
  }

  private async requireTurn(tenantId: string, turnId: string): Promise<void> {
    const turn = await this.ports.store.read((db) => this.ports.turns.find(db, tenantId, turnId));
    if (!turn) throw notFound('turn');
  }
}

/** The bytes are a part of what was asked. */
function keyOf(key: IdempotencyKey, sha256: string): IdempotencyKey {
  return { ...key, fingerprint: payloadFingerprint([key.fingerprint, sha256]) };
}
