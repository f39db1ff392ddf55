import { NOW_MS, portable, type Statement } from '@tyrum/statestore';

/**
 * What a tenant's artifacts take, with the room that is kept for those to come, and its quota. Takes the tenant.
 * Touches: tenant_usage, tenant.
 */
export const findStoredBytes = portable(
  'find-stored-bytes',
  `select coalesce((select stored_bytes from tenant_usage where tenant_id = $1), 0) as stored_bytes,
    (select max_stored_bytes from tenant where tenant_id = $1) as max_stored_bytes`,
);

/** What every tenant's artifacts take. Touches: tenant_usage. */
export const listStoredBytes = portable('list-stored-bytes', 'select tenant_id, stored_bytes from tenant_usage');

/** Keeps room for an artifact to come. Takes tenant, artifact, bytes, for how many ms. Touches: artifact_room, tenant_usage by its trigger. */
export const keepRoom: Statement = {
  name: 'keep-room',
  postgres: `insert into artifact_room (tenant_id, artifact_id, size_bytes, expires_at)
    values ($1::uuid, $2::uuid, $3::bigint, ${NOW_MS.postgres} + $4::bigint)`,
  sqlite: `insert into artifact_room (tenant_id, artifact_id, size_bytes, expires_at) values (?1, ?2, ?3, ${NOW_MS.sqlite} + ?4)`,
};

/** Gives an artifact's room back, and answers whether there was any. Takes tenant and artifact. Touches: artifact_room, tenant_usage. */
export const giveRoomBack = portable(
  'give-room-back',
  'delete from artifact_room where tenant_id = $1 and artifact_id = $2 returning artifact_id',
);

/** Gives back a batch of rooms whose artifacts never came. Takes the limit. Touches: artifact_room, tenant_usage. */
export const pruneRooms: Statement = {
  name: 'prune-artifact-rooms',
  postgres: `delete from artifact_room where (tenant_id, artifact_id) in (
      select tenant_id, artifact_id from artifact_room where expires_at < (select ${NOW_MS.postgres})
      order by expires_at limit $1)
    returning artifact_id`,
  sqlite: `delete from artifact_room where rowid in (
      select rowid from artifact_room where expires_at < ${NOW_MS.sqlite} order by expires_at limit ?1)
    returning artifact_id`,
};
