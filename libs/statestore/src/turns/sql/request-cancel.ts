import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/** Notes the wish to cancel a turn that somebody is running; the first wish stays. Parameters: tenant, turn, reason. Touches: turn. */
export const requestCancel: Statement = {
  name: 'request-cancel',
  postgres: `
    update turn set cancel_requested_at = coalesce(cancel_requested_at, ${NOW_MS.postgres}), cancel_reason = coalesce(cancel_reason, $3)
    where tenant_id = $1 and turn_id = $2`,
  sqlite: `
    update turn set cancel_requested_at = coalesce(cancel_requested_at, ${NOW_MS.sqlite}), cancel_reason = coalesce(cancel_reason, ?3)
    where tenant_id = ?1 and turn_id = ?2`,
};
