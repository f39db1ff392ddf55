import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/** One wait or arrival. Parameters: tenant, kind, id. Touches: wait. */
export const findWait: Statement = {
  name: 'find-wait',
  postgres: 'select * from wait where tenant_id = $1 and kind = $2 and wait_id = $3',
  sqlite: 'select * from wait where tenant_id = ?1 and kind = ?2 and wait_id = ?3',
};

/**
 * Notes who waits (the row names the last to come; the turns themselves say what they wait for), from a JSON list of
 * {tenant_id, kind, wait_id, turn_id, conversation_key}, and returns what has arrived already. An arrival that is being written at the same moment holds the row, and this waits for it. Touches: wait.
 */
const columns = 'insert into wait as w (tenant_id, kind, wait_id, turn_id, conversation_key, created_at)';
const onPark = `on conflict (tenant_id, kind, wait_id) do update set turn_id = excluded.turn_id,
    conversation_key = excluded.conversation_key
  returning tenant_id, conversation_key, arrived_at`;

export const parkWaits: Statement = {
  name: 'park-waits',
  postgres: `${columns}
    select tenant_id, kind, wait_id, turn_id, conversation_key, ${NOW_MS.postgres}
    from json_to_recordset($1::json) as x(tenant_id uuid, kind text, wait_id text, turn_id uuid, conversation_key text)
    ${onPark}`,
  sqlite: `${columns}
    select value ->> 'tenant_id', value ->> 'kind', value ->> 'wait_id', value ->> 'turn_id',
      value ->> 'conversation_key', ${NOW_MS.sqlite}
    from jsonb_each(?1) where true ${onPark}`,
};

/**
 * Notes an arrival; the first one counts. Returns nothing when it had arrived before. From here on whoever comes to wait
 * finds it, and whoever waits already is found by `findWaiters`. Parameters: tenant, kind, id, outcome (JSON). Touches: wait.
 */
const arrival = (now: string, p: (n: number) => string) => `
  insert into wait as w (tenant_id, kind, wait_id, arrived_at, outcome, created_at)
  values (${p(1)}, ${p(2)}, ${p(3)}, ${now}, ${p(4)}, ${now})
  on conflict (tenant_id, kind, wait_id) do update set arrived_at = excluded.arrived_at, outcome = excluded.outcome
    where w.arrived_at is null
  returning wait_id`;

export const recordArrival: Statement = {
  name: 'record-arrival',
  postgres: arrival(NOW_MS.postgres, (n) => `$${n}`),
  sqlite: arrival(NOW_MS.sqlite, (n) => `?${n}`).trim(),
};

/** The turns that wait for one thing. Parameters: tenant, kind, id. Touches: turn. */
export const findWaiters: Statement = {
  name: 'find-waiters',
  postgres: `select tenant_id, conversation_key from turn
    where tenant_id = $1 and wait_kind = $2 and wait_id = $3 and status = 'paused'`,
  sqlite: `select tenant_id, conversation_key from turn
    where tenant_id = ?1 and wait_kind = ?2 and wait_id = ?3 and status = 'paused'`,
};

/** Says which turn may wait for another one. Parameters: tenant, turn, parent turn, its conversation. Touches: turn. */
export const setParent: Statement = {
  name: 'set-parent',
  postgres: 'update turn set parent_turn_id = $3, parent_conversation_key = $4 where tenant_id = $1 and turn_id = $2',
  sqlite: 'update turn set parent_turn_id = ?3, parent_conversation_key = ?4 where tenant_id = ?1 and turn_id = ?2',
};
