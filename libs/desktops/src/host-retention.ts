import { NOW_MS, portable, TableWalk, type StateStore, type Statement } from '@tyrum/statestore';
import { DESKTOP_HOST_LEASE_KIND } from './desktop-hosts';

interface FoundHost {
  readonly host_id: string;
  readonly past: boolean | number;
}

/** Unseen for so long, and no process holds its lease either. */
const past = (now: string, age: string) => `last_seen_at < ${now} - ${age} and not exists (
    select 1 from lease l where l.kind = '${DESKTOP_HOST_LEASE_KIND}' and l.name = desktop_host.host_id
      and l.owner is not null and l.expires_at > ${now})`;

/** Hosts by id, and whether they are past. Parameters: host to go on after, age in ms, limit. Touches: desktop_host, lease. */
const findHosts: Statement = {
  name: 'find-gone-hosts',
  postgres: `select host_id, ${past(`(select ${NOW_MS.postgres})`, '$2::bigint')} as past
    from desktop_host where host_id > $1 order by host_id limit $3`,
  sqlite: `select host_id, ${past(NOW_MS.sqlite, '?2')} as past
    from desktop_host where host_id > ?1 order by host_id limit ?3`,
};

/** Deletes hosts that are still past. Takes a JSON list of ids and the age in ms. Touches: desktop_host, lease. */
const deleteHosts: Statement = {
  name: 'delete-gone-hosts',
  postgres: `delete from desktop_host where host_id in (select value from json_array_elements_text($1::json))
    and ${past(`(select ${NOW_MS.postgres})`, '$2::bigint')} returning host_id`,
  sqlite: `delete from desktop_host where host_id in (select value from jsonb_each(?1))
    and ${past(NOW_MS.sqlite, '?2')} returning host_id`,
};

/**
 * Desktops that were deleted, and whose host has not cleared up for so long: it is gone. Parameters: age in ms, limit. Touches:
 * desktop_environment.
 */
const pruneDeleted = portable(
  'prune-deleted-desktops',
  `delete from desktop_environment where (tenant_id, environment_id) in (
    select tenant_id, environment_id from desktop_environment where desired = 'absent' and updated_at < {now} - $1::bigint
    limit $2) returning environment_id`,
);

/** At most so many of them. @returns how many there were */
export async function pruneDeletedDesktops(store: StateStore, olderThanMs: number, limit: number): Promise<number> {
  return (await store.execute(pruneDeleted, [olderThanMs, limit])).length;
}

/** Hosts that have been gone for so long. One that comes back registers again; its lease's row, with the token, was kept. */
export function walkGoneHosts(store: StateStore, olderThanMs: number): TableWalk<FoundHost> {
  return new TableWalk<FoundHost>({
    find: async (after, limit) => {
      const params = [after?.host_id ?? '', olderThanMs, limit];
      const rows = await store.read((db) => db.query<FoundHost>(findHosts, params));
      return { rows, more: rows.length === limit };
    },
    remove: async (rows) => {
      const ids = JSON.stringify(rows.map(({ host_id }) => host_id));
      return { desktop_host: (await store.execute(deleteHosts, [ids, olderThanMs])).length };
    },
  });
}
