import { NOW_MS } from '../../clock-sql';
import { rowsOf } from '../../row-lists';
import type { Statement } from '../../state-store';

const columns = {
  tenant_id: 'uuid',
  turn_id: 'uuid',
  conversation_key: 'text',
  turn_seq: 'bigint',
  kind: 'text',
  trigger_kind: 'text',
  input: 'text',
  budgets: 'text',
} as const;

/** Inserts a list of queued turns. Touches: turn. */
const target = `insert into turn (tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, status, input, budgets, created_at)`;

export const insertTurns: Statement = {
  name: 'insert-turns',
  columns: Object.keys(columns),
  postgres: `${target}
    select tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, 'queued', input, budgets, ${NOW_MS.postgres}
    from ${rowsOf(columns)} as input`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'turn_id', value ->> 'conversation_key', value ->> 'turn_seq',
      value ->> 'kind', value ->> 'trigger_kind', 'queued', value ->> 'input', value ->> 'budgets', ${NOW_MS.sqlite}
    from jsonb_each(?1)`,
};
