import { NOW_MS, portable, type Dialect, type Statement } from '@tyrum/statestore';

/**
 * The connections that may carry out an action now: alive, of an approved node, with a capability it both offers and is
 * allowed, in the version that was allowed; the least busy node first. Parameters: tenant, capability ids (JSON list), node
 * or null. Touches: peer_connection, edge_slot, node_pairing, dispatch.
 */
export const findCapable: Statement = {
  name: 'find-capable',
  postgres: capable('postgres'),
  sqlite: capable('sqlite'),
};

function capable(dialect: Dialect): string {
  const pg = dialect === 'postgres';
  const each = (column: string, name: string) =>
    pg ? `json_array_elements(${column}::json) ${name}` : `json_each(${column}) ${name}`;
  const field = (name: string, path: string) => (pg ? `${name} ->> '${path}'` : `${name}.value ->> '${path}'`);
  const [tenant, ids, node] = pg ? ['$1', '$2::json', '$3::text'] : ['?1', '?2', '?3'];
  const wanted = pg ? `select json_array_elements_text(${ids})` : `select value from jsonb_each(${ids})`;
  return `select c.connection_id, c.device_id, c.slot, c.journal from peer_connection c
    join edge_slot s on s.slot = c.slot and s.holder = c.holder and s.expires_at > ${NOW_MS[dialect]}
    join node_pairing p on p.tenant_id = c.tenant_id and p.node_id = c.device_id and p.status = 'approved'
    where c.tenant_id = ${tenant} and c.role = 'node' and (${node} is null or c.device_id = ${node})
      and exists (select 1 from ${each('c.capabilities', 'x')}, ${each('p.allowlist', 'y')}
        where ${field('x', 'id')} = ${field('y', 'id')} and ${field('x', 'version')} = ${field('y', 'version')}
          and ${field('x', 'id')} in (${wanted}))
    order by (select count(*) from dispatch d
      where d.tenant_id = c.tenant_id and d.state = 'sent' and d.node_id = c.device_id), c.connected_at desc
    limit 1`;
}

/**
 * Notes that a turn asks for an action; asking again changes nothing. Parameters: id, tenant, conversation, turn, step, action,
 * effect, capability ids (JSON), node or null, time in ms. Touches: dispatch.
 */
export const insertDispatch = portable(
  'insert-dispatch',
  `insert into dispatch (dispatch_id, tenant_id, conversation_key, turn_id, step_index, action, effect, capabilities,
    wanted_node, state, created_at, deadline_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', {now}, {now} + $10::bigint)
  on conflict (dispatch_id) do nothing returning *`,
);

/** Notes to whom it goes. Parameters: id, node, connection, message, journal (JSON or null). Touches: dispatch. */
export const assignDispatch = portable(
  'assign-dispatch',
  `update dispatch set state = 'sent', node_id = $2, connection_id = $3::uuid, message_id = $4::uuid, journal = $5,
    sends = sends + 1, sent_at = {now}
  where dispatch_id = $1 and state in ('waiting', 'sent') returning dispatch_id`,
);

/** Says on the waiting turn what it waits for. Parameters: tenant, turn, dispatch (its wait), detail. Touches: turn. */
export const describeWait = portable(
  'describe-node-wait',
  `update turn set blocked_detail = $4
  where tenant_id = $1 and turn_id = $2 and status = 'paused' and wait_kind = 'node' and wait_id = $3
    and coalesce(blocked_detail, '') <> $4 returning turn_id`,
);

/** Messages that came back: their dispatches are on no connection now. Parameter: message ids (JSON list). Touches: dispatch. */
export const unassignReturned: Statement = {
  name: 'unassign-returned',
  postgres: `update dispatch set connection_id = null
    where state = 'sent' and message_id in (select json_array_elements_text($1::json)::uuid) returning dispatch_id`,
  sqlite: `update dispatch set connection_id = null
    where state = 'sent' and message_id in (select value from jsonb_each(?1)) returning dispatch_id`,
};

/** How many are open, and when the next one's time is over. Touches: dispatch. */
export const measureOpen = portable(
  'measure-open-dispatches',
  `select count(*) as open, min(deadline_at) - {now} as next_in_ms from dispatch where state in ('waiting', 'sent')`,
);

/**
 * What has to be looked at, locked: what waits for a node, what is on no living connection, what is late, and what was sent for a turn
 * that is over; with whether its turn still waits. Parameters: limit, and the place after which to look, as creation and id. Touches: dispatch, turn, peer_connection, edge_slot.
 */
export const findUnsettled: Statement = {
  name: 'find-unsettled',
  postgres: unsettled('postgres'),
  sqlite: unsettled('sqlite'),
};

function unsettled(dialect: Dialect): string {
  const pg = dialect === 'postgres';
  const now = NOW_MS[dialect];
  const behind = `(d.created_at, d.dispatch_id) > ${pg ? '($2::bigint, $3::uuid)' : '(?2, ?3)'}`;
  const waits = `exists (select 1 from turn t where t.tenant_id = d.tenant_id and t.turn_id = d.turn_id
      and t.status = 'paused' and t.wait_kind = 'node' and t.wait_id = ${pg ? 'd.dispatch_id::text' : 'd.dispatch_id'})`;
  const over = `not exists (select 1 from turn t where t.tenant_id = d.tenant_id and t.turn_id = d.turn_id
      and t.status in ('queued', 'running', 'paused'))`;
  return `select d.*, ${waits} as is_awaited, ${over} as is_over, d.deadline_at <= ${now} as is_late, d.deadline_at - ${now} as remaining_ms
    from dispatch d
    where d.state in ('waiting', 'sent') and ${behind} and (d.state = 'waiting' or d.deadline_at <= ${now} or ${over}
      or d.connection_id is null or not exists (
        select 1 from peer_connection c
        join edge_slot s on s.slot = c.slot and s.holder = c.holder and s.expires_at > ${now}
        where c.connection_id = d.connection_id))
    order by d.created_at, d.dispatch_id limit ${pg ? '$1 for update of d skip locked' : '?1'}`;
}

/** Its turn has gone on without it. Parameter: id. Touches: dispatch. */
export const cancelDispatch = portable(
  'cancel-dispatch',
  `update dispatch set state = 'cancelled', settled_at = {now}
  where dispatch_id = $1 and state in ('waiting', 'sent') returning dispatch_id`,
);

/**
 * Its turn was over while a node was at it. What came of it is unknown until the node says so. Parameters: id, outcome (JSON).
 * Touches: dispatch.
 */
export const abandonDispatch = portable(
  'abandon-dispatch',
  `update dispatch set state = 'cancelled', settled_at = {now}, outcome = $2
  where dispatch_id = $1 and state = 'sent' returning dispatch_id`,
);

/** The last word about what nobody waited for any more. Parameters: tenant, id, node, outcome (JSON). Touches: dispatch. */
export const noteAbandoned = portable(
  'note-abandoned-dispatch',
  `update dispatch set outcome = $4
  where tenant_id = $1 and dispatch_id = $2 and state = 'cancelled' and node_id = $3 returning dispatch_id`,
);

/** Where a node is connected now. Parameters: tenant, node. Touches: peer_connection, edge_slot. */
export const findNodeConnection = portable(
  'find-node-connection',
  `select c.connection_id, c.slot from peer_connection c
    join edge_slot s on s.slot = c.slot and s.holder = c.holder and s.expires_at > {now}
    where c.tenant_id = $1 and c.device_id = $2 and c.role = 'node' order by c.connected_at desc limit 1`,
);

/**
 * Notes the outcome, from the node that was asked, or from us (node null) if it is late. Parameters: tenant, id, node or null,
 * outcome (JSON). Touches: dispatch.
 */
export const settleDispatch = portable(
  'settle-dispatch',
  `update dispatch set state = 'settled', settled_at = {now}, outcome = $4
  where tenant_id = $1 and dispatch_id = $2 and state in ('waiting', 'sent')
    and (node_id = $3::text or ($3::text is null and deadline_at <= {now})) returning dispatch_id`,
);

/** One dispatch. Parameters: tenant, id. Touches: dispatch. */
export const findDispatch = portable(
  'find-dispatch',
  'select * from dispatch where tenant_id = $1 and dispatch_id = $2',
);

/** Forgets what was settled so long ago, one bounded batch. Parameters: age in ms, limit. Touches: dispatch. */
export const pruneDispatches = portable(
  'prune-dispatches',
  `delete from dispatch where dispatch_id in (
      select dispatch_id from dispatch where settled_at < (select {now} - $1::bigint) order by settled_at limit $2::bigint)
  returning dispatch_id`,
);
