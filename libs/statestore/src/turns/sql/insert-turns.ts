import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Inserts queued turns from a JSON list of {tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, input,
 * budgets}. Touches: turn.
 */
const target = `insert into turn (tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, status, input, budgets, created_at)`;

export const insertTurns: Statement = {
  name: 'insert-turns',
  postgres: `${target}
    select tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, 'queued', input, budgets, ${NOW_MS.postgres}
    from json_to_recordset($1::json) as input(tenant_id uuid, turn_id uuid, conversation_key text, turn_seq bigint,
      kind text, trigger_kind text, input text, budgets text)`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'turn_id', value ->> 'conversation_key', value ->> 'turn_seq',
      value ->> 'kind', value ->> 'trigger_kind', 'queued', value ->> 'input', value ->> 'budgets', ${NOW_MS.sqlite}
    from json_each(?1)`,
};
