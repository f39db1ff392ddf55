import { NOW_MS, type Statement } from '@tyrum/statestore';

const target = `insert into directed_message (message_id, tenant_id, slot, connection_id, origin, payload, state, created_at, deliver_by)`;

/** Queues messages from a JSON list, in its order; one that was queued before is left alone. Touches: directed_message. */
export const insertDirected: Statement = {
  name: 'send-directed',
  postgres: `${target}
    select message_id, tenant_id, slot, connection_id, origin, payload, 'queued', ${NOW_MS.postgres},
      ${NOW_MS.postgres} + deliver_within_ms
    from json_to_recordset($1::json) as m(message_id uuid, tenant_id uuid, slot text, connection_id text, origin text,
      payload text, deliver_within_ms bigint)
    on conflict (message_id) do nothing`,
  sqlite: `${target}
    select value ->> 'message_id', value ->> 'tenant_id', value ->> 'slot', value ->> 'connection_id', value ->> 'origin',
      value ->> 'payload', 'queued', ${NOW_MS.sqlite}, ${NOW_MS.sqlite} + (value ->> 'deliver_within_ms')
    from jsonb_each(?1) where true
    on conflict (message_id) do nothing`,
};
