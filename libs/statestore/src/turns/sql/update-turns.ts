import { NOW_MS } from '../../clock-sql';
import { rowsOf } from '../../row-lists';
import type { Statement } from '../../state-store';

const columns = {
  tenant_id: 'uuid',
  turn_id: 'uuid',
  from_queued: 'boolean',
  status: 'text',
  attempt: 'int',
  wait_kind: 'text',
  wait_id: 'text',
  wait_ms: 'bigint',
  blocked_reason: 'text',
  blocked_detail: 'text',
  error: 'text',
  cancel_reason: 'text',
} as const;

/**
 * Writes turns' states from a list of rows and returns the turns it changed. `from_queued` = only if the turn is still queued,
 * which a cancel in the meantime prevents; it begins then, and may have ended already. Touches: turn.
 */
const assignments = (now: string, source: (column: string) => string) => `
  status = ${source('status')}, attempt = ${source('attempt')}, wait_kind = ${source('wait_kind')},
  wait_id = ${source('wait_id')}, wait_until = ${now} + ${source('wait_ms')},
  blocked_reason = ${source('blocked_reason')}, blocked_detail = ${source('blocked_detail')}, error = ${source('error')},
  cancel_reason = coalesce(${source('cancel_reason')}, t.cancel_reason),
  started_at = case when ${source('status')} = 'running' or ${source('from_queued')} then coalesce(t.started_at, ${now})
    else t.started_at end,
  finished_at = case when ${source('status')} in ('succeeded', 'failed', 'cancelled') then ${now} end`;

export const updateTurns: Statement = {
  name: 'update-turns',
  columns: Object.keys(columns),
  postgres: `
    update turn t set ${assignments(NOW_MS.postgres, (column) => `x.${column}`)}
    from ${rowsOf(columns)} as x
    where t.tenant_id = x.tenant_id and t.turn_id = x.turn_id and (not x.from_queued or t.status = 'queued')
    returning t.tenant_id, t.turn_id`,
  sqlite: `
    update turn as t set ${assignments(NOW_MS.sqlite, (column) => `x.value ->> '${column}'`)}
    from jsonb_each(?1) x
    where t.tenant_id = x.value ->> 'tenant_id' and t.turn_id = x.value ->> 'turn_id'
      and (not (x.value ->> 'from_queued') or t.status = 'queued')
    returning tenant_id, turn_id`.trim(),
};
