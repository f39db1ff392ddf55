import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/** For how long a turn has been under way, in ms; 0 before its start. Parameters: tenant, turn. Touches: turn. */
export const elapsedOfTurn: Statement = {
  name: 'elapsed-of-turn',
  postgres: `select coalesce(${NOW_MS.postgres} - started_at, 0) as elapsed_ms from turn where tenant_id = $1 and turn_id = $2`,
  sqlite: `select coalesce(${NOW_MS.sqlite} - started_at, 0) as elapsed_ms from turn where tenant_id = ?1 and turn_id = ?2`,
};

/** Sets what a turn may spend. Parameters: tenant, turn, budgets (JSON). Touches: turn. */
export const setBudgets: Statement = {
  name: 'set-budgets',
  postgres: 'update turn set budgets = $3 where tenant_id = $1 and turn_id = $2',
  sqlite: 'update turn set budgets = ?3 where tenant_id = ?1 and turn_id = ?2',
};
