import { NOW_MS, portable, type Statement } from '@tyrum/statestore';

const target = `insert into peer_connection as p (connection_id, tenant_id, device_id, role, slot, holder, device, capabilities,
    journal, beacon, connected_at, last_seen_at)`;
const onKnown = `on conflict (connection_id) do update set capabilities = excluded.capabilities, journal = excluded.journal,
    beacon = excluded.beacon, last_seen_at = excluded.last_seen_at`;

/** Writes connections of one edge down, from a JSON list. Parameters: list, slot, holder. Touches: peer_connection. */
export const putConnections: Statement = {
  name: 'put-connections',
  postgres: `${target}
    select connection_id, tenant_id, device_id, role, $2, $3, device, capabilities, journal, beacon, ${NOW_MS.postgres},
      ${NOW_MS.postgres}
    from json_to_recordset($1::json) as x(connection_id uuid, tenant_id uuid, device_id text, role text, device text,
      capabilities text, journal text, beacon text)
    ${onKnown}`,
  sqlite: `${target}
    select value ->> 'connection_id', value ->> 'tenant_id', value ->> 'device_id', value ->> 'role', ?2, ?3,
      value ->> 'device', value ->> 'capabilities', value ->> 'journal', value ->> 'beacon', ${NOW_MS.sqlite}, ${NOW_MS.sqlite}
    from jsonb_each(?1) where true
    ${onKnown}`,
};

/** Strikes connections out, from a JSON list of ids. Touches: peer_connection. */
export const dropConnections: Statement = {
  name: 'drop-connections',
  postgres: 'delete from peer_connection where connection_id in (select json_array_elements_text($1::json)::uuid)',
  sqlite: 'delete from peer_connection where connection_id in (select value from jsonb_each(?1))',
};

/** How many connections of an edge are written down. Parameters: slot, holder. Touches: peer_connection. */
export const countConnections = portable(
  'count-connections',
  'select count(*) as count from peer_connection where slot = $1 and holder = $2',
);

/**
 * Strikes out, one bounded batch a call, the connections of edges that are gone, and of earlier processes under an edge's
 * name. Returns whose they were, and whether anybody was told that they were there. Parameter: limit. Touches: peer_connection, edge_slot.
 */
export const dropGone: Statement = {
  name: 'drop-gone-connections',
  postgres: `delete from peer_connection where connection_id in (
      select c.connection_id from peer_connection c where not exists (
        select from edge_slot s where s.slot = c.slot and s.holder = c.holder and s.expires_at > ${NOW_MS.postgres})
      limit $1 for update skip locked)
    returning tenant_id, device_id, (role = 'node' or beacon is not null) as told`,
  sqlite: `delete from peer_connection where connection_id in (
      select c.connection_id from peer_connection c where not exists (
        select 1 from edge_slot s where s.slot = c.slot and s.holder = c.holder and s.expires_at > ${NOW_MS.sqlite})
      limit ?1)
    returning tenant_id, device_id, (role = 'node' or beacon is not null) as told`,
};

/** An edge's connections that are not in this JSON list of ids: strike them out. Parameters: slot, holder, list. Touches: peer_connection. */
export const dropOthers: Statement = {
  name: 'drop-other-connections',
  postgres: `delete from peer_connection where slot = $1 and holder = $2
    and connection_id not in (select json_array_elements_text($3::json)::uuid)`,
  sqlite: `delete from peer_connection where slot = ?1 and holder = ?2
    and connection_id not in (select value from jsonb_each(?3))`,
};

/** A connection counts while its edge does. */
export const ALIVE = `exists (select 1 from edge_slot s where s.slot = c.slot and s.holder = c.holder and s.expires_at > {now})`;

/** A connection that is there now, and of its device's the one last heard of. */
const LATEST = `${ALIVE} and not exists (select 1 from peer_connection o where o.tenant_id = c.tenant_id
    and o.device_id = c.device_id and (o.last_seen_at, o.connection_id) > (c.last_seen_at, c.connection_id)
    and ${ALIVE.replaceAll('c.', 'o.')})`;

/**
 * Who is there, by device. Parameters: tenant, the last page's last device or null, limit. Touches: peer_connection, edge_slot.
 */
export const listConnections = portable(
  'list-connections',
  `select c.* from peer_connection c where c.tenant_id = $1 and ($2::text is null or c.device_id > $2::text) and ${LATEST}
  order by c.device_id limit $3`,
);

/** Those of these devices who are there. Parameters: tenant, devices (JSON list). Touches: peer_connection, edge_slot. */
export const findConnections: Statement = {
  name: 'find-connections',
  postgres: `select c.* from peer_connection c where c.tenant_id = $1
    and c.device_id in (select json_array_elements_text($2::json)) and ${LATEST.replaceAll('{now}', NOW_MS.postgres)}`,
  sqlite: `select c.* from peer_connection c where c.tenant_id = ?1
    and c.device_id in (select value from jsonb_each(?2)) and ${LATEST.replaceAll('{now}', NOW_MS.sqlite)}`,
};

/** Which of these devices are there, from a JSON list of {tenant_id, device_id}. Touches: peer_connection, edge_slot. */
export const findPresent: Statement = {
  name: 'find-present',
  postgres: `select distinct c.tenant_id, c.device_id from peer_connection c
    join json_to_recordset($1::json) as d(tenant_id uuid, device_id text)
      on d.tenant_id = c.tenant_id and d.device_id = c.device_id
    where ${ALIVE.replaceAll('{now}', NOW_MS.postgres)}`,
  sqlite: `select distinct c.tenant_id, c.device_id from peer_connection c
    where (c.tenant_id, c.device_id) in (select value ->> 'tenant_id', value ->> 'device_id' from jsonb_each(?1))
      and ${ALIVE.replaceAll('{now}', NOW_MS.sqlite)}`,
};

/** Connections by edge and role. Parameters: tenant, null for all; limit. Touches: peer_connection. */
export const countByEdge = portable(
  'count-connections-by-edge',
  `select slot, role, count(*) as connections from peer_connection where ($1::uuid is null or tenant_id = $1::uuid)
    group by slot, role order by slot, role limit $2::bigint`,
);
