import { NOW_MS } from '../../clock-sql';
import { rowsOf } from '../../row-lists';
import type { Statement } from '../../state-store';

const columns = {
  tenant_id: 'uuid',
  turn_id: 'uuid',
  step_index: 'int',
  action: 'text',
  effect: 'text',
  status: 'text',
  attempts: 'int',
  result: 'text',
  error: 'text',
} as const;

/**
 * Records a list of steps' intents and results. A step keeps its first start; a settled one gets its finish. Touches: step.
 */
const target = `insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, result, error,
    started_at, finished_at)`;
const finish = (status: string, now: string) =>
  `case when ${status} in ('succeeded', 'failed', 'cancelled') then ${now} end`;
const ending = `on conflict (tenant_id, turn_id, step_index) do update set status = excluded.status,
    attempts = excluded.attempts, result = excluded.result, error = excluded.error, finished_at = excluded.finished_at`;

export const upsertSteps: Statement = {
  name: 'upsert-steps',
  columns: Object.keys(columns),
  postgres: `${target}
    select tenant_id, turn_id, step_index, action, effect, status, attempts, result, error, ${NOW_MS.postgres},
      ${finish('status', NOW_MS.postgres)}
    from ${rowsOf(columns)} as input
    ${ending}`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'turn_id', value ->> 'step_index', value ->> 'action', value ->> 'effect',
      value ->> 'status', value ->> 'attempts', value ->> 'result', value ->> 'error', ${NOW_MS.sqlite},
      ${finish(`value ->> 'status'`, NOW_MS.sqlite)}
    from jsonb_each(?1) where true ${ending}`,
};
