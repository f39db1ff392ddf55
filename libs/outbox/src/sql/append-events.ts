import { rowsOf, type Statement } from '@tyrum/statestore';

const columns = {
  tenant_id: 'uuid',
  event_id: 'uuid',
  type: 'text',
  scope_kind: 'text',
  scope_id: 'text',
  conversation_key: 'text',
  conversation_seq: 'bigint',
  turn_id: 'uuid',
  payload: 'text',
  occurred_at: 'bigint',
} as const;

/**
 * Appends a list of events, in its order, in the transaction of the change they describe. Postgres stamps each row with that
 * transaction's id. Touches: outbox.
 */
const target = `insert into outbox (tenant_id, event_id, type, scope_kind, scope_id, conversation_key, conversation_seq,
    turn_id, payload, occurred_at)`;

export const appendEventRows: Statement = {
  name: 'append-events',
  columns: Object.keys(columns),
  postgres: `${target}
    select tenant_id, event_id, type, scope_kind, scope_id, conversation_key, conversation_seq, turn_id, payload, occurred_at
    from ${rowsOf(columns)} as e`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'event_id', value ->> 'type', value ->> 'scope_kind', value ->> 'scope_id',
      value ->> 'conversation_key', value ->> 'conversation_seq', value ->> 'turn_id', value -> 'payload',
      value ->> 'occurred_at'
    from jsonb_each(?1)`,
};
