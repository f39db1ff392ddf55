import type { Reader, StateStore, Tx } from '@tyrum/statestore';
import { findStoredBytes, giveRoomBack, keepRoom, listStoredBytes, pruneRooms } from './sql/stored-bytes';

/** A tenant's artifacts would take more than they may. Terminal until something goes; nothing was stored. */
export class StoredBytesExceededError extends Error {
  readonly code = 'stored_bytes_exceeded';

  constructor(
    readonly maxStoredBytes: number,
    readonly storedBytes: number,
  ) {
    super(
      `max_stored_bytes: this tenant's artifacts take ${storedBytes} of ${maxStoredBytes} bytes, and there is no room for this one`,
    );
  }
}

/** An artifact by its ids. */
export interface ArtifactName {
  readonly tenantId: string;
  readonly artifactId: string;
}

interface Usage {
  readonly stored: number;
  /** Undefined: no quota. */
  readonly max: number | undefined;
}

/** Bytes lie in their place, and their row is committed, long before; what is older was left by a crash. */
const ROOM_MS = 60 * 60 * 1_000;

/**
 * What tenants' artifacts take and may take. The count is one row a tenant, kept by triggers in the commit in which an artifact
 * comes or goes: nothing is ever summed up, and whoever changes it holds that row until the commit.
 *
 * Room is kept before bytes are put into their place, and given to the artifact's row when that is inserted:
 *
 *     bytes on their way ──▶ keep room ──▶ bytes in place ──▶ row inserted, room given back (one commit)
 *                               └─ over the quota: refused      └─ a crash: the room is given back when it expires
 *
 * So two that come at once never get the same last bytes, and what is refused was not stored. Bytes are counted by artifact: two
 * with equal bytes count twice, although they lie there once.
 */
export class StoredBytes {
  /** @param maxByDefault for tenants without a quota of their own; absent: they have none */
  constructor(
    private readonly store: StateStore,
    private readonly maxByDefault?: number,
  ) {}

  /**
   * What a tenant has of its quota now; undefined: it has none. A first look, so that bytes that cannot be kept need not be read:
   * `keepRoom` decides.
   * @param size what is about to come, where that is known
   * @throws {StoredBytesExceededError}
   */
  async requireRoom(tenantId: string, size = 0): Promise<{ stored: number; max: number } | undefined> {
    const { stored, max } = await this.store.read((db) => this.usage(db, tenantId));
    if (max === undefined) return undefined;
    if (stored + size > max || stored >= max) throw new StoredBytesExceededError(max, stored);
    return { stored, max };
  }

  /** Keeps room for an artifact whose bytes are about to be put into their place. @throws {StoredBytesExceededError} */
  async keepRoom({ tenantId, artifactId }: ArtifactName, size: number): Promise<void> {
    await this.store.transaction(async (tx) => {
      await tx.query(keepRoom, [tenantId, artifactId, size, ROOM_MS]);
      await this.requireWithin(tx, tenantId, size);
    });
  }

  /** Gives the room of an artifact back that does not come; nothing happens when it has none. */
  async giveBack(name: ArtifactName): Promise<void> {
    await this.store.execute(giveRoomBack, [name.tenantId, name.artifactId]);
  }

  /** Gives an artifact's room to its row, which was inserted in this transaction. @throws {StoredBytesExceededError} it had none and there is none */
  async settleIn(tx: Tx, { tenantId, artifactId }: ArtifactName, size: number): Promise<void> {
    const kept = await tx.query(giveRoomBack, [tenantId, artifactId]);
    if (kept.length === 0) await this.requireWithin(tx, tenantId, size);
  }

  /** Looks at the count behind a change of it, whose row lock lets nobody else change it before the commit. */
  private async requireWithin(tx: Tx, tenantId: string, size: number): Promise<void> {
    const { stored, max } = await this.usage(tx, tenantId);
    if (max !== undefined && stored > max) throw new StoredBytesExceededError(max, stored - size);
  }

  private async usage(db: Reader, tenantId: string): Promise<Usage> {
    const [row] = await db.query<{ stored_bytes: number; max_stored_bytes: number | null }>(findStoredBytes, [
      tenantId,
    ]);
    return { stored: row?.stored_bytes ?? 0, max: row?.max_stored_bytes ?? this.maxByDefault };
  }
}

/** What every tenant's artifacts take, by tenant; one that is missing has none. */
export async function storedBytesByTenant(db: Reader): Promise<ReadonlyMap<string, number>> {
  const rows = await db.query<{ tenant_id: string; stored_bytes: number }>(listStoredBytes);
  return new Map(rows.map(({ tenant_id, stored_bytes }) => [tenant_id, stored_bytes]));
}

/** Gives back up to `limit` rooms whose artifacts never came. Returns how many. */
export async function pruneArtifactRooms(store: StateStore, limit: number): Promise<number> {
  return (await store.execute(pruneRooms, [limit])).length;
}
