import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Records steps' intents and results from a JSON list of {tenant_id, turn_id, step_index, action, effect, status,
 * attempts, result, error}. A step keeps its first start; a settled one gets its finish. Touches: step.
 */
const target = `insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, result, error,
    started_at, finished_at)`;
const finish = (status: string, now: string) =>
  `case when ${status} in ('succeeded', 'failed', 'cancelled') then ${now} end`;
const ending = `on conflict (tenant_id, turn_id, step_index) do update set status = excluded.status,
    attempts = excluded.attempts, result = excluded.result, error = excluded.error, finished_at = excluded.finished_at`;

export const upsertSteps: Statement = {
  name: 'upsert-steps',
  postgres: `${target}
    select tenant_id, turn_id, step_index, action, effect, status, attempts, result, error, ${NOW_MS.postgres},
      ${finish('status', NOW_MS.postgres)}
    from json_to_recordset($1::json) as input(tenant_id uuid, turn_id uuid, step_index int, action text, effect text,
      status text, attempts int, result text, error text)
    ${ending}`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'turn_id', value ->> 'step_index', value ->> 'action', value ->> 'effect',
      value ->> 'status', value ->> 'attempts', value ->> 'result', value ->> 'error', ${NOW_MS.sqlite},
      ${finish(`value ->> 'status'`, NOW_MS.sqlite)}
    from json_each(?1) where true ${ending}`,
};
