import { NOW_MS } from '../clock-sql';
import type { Statement } from '../state-store';

const BEAT =
  'insert into instance as i (instance_id, app, roles, version, state, report, beat_ms, started_at, last_seen_at)';
const AGAIN = `on conflict (instance_id) do update set app = excluded.app, roles = excluded.roles, version = excluded.version,
    state = excluded.state, report = excluded.report, beat_ms = excluded.beat_ms, last_seen_at = excluded.last_seen_at,
    started_at = case when excluded.state = 'starting' then excluded.started_at else i.started_at end`;

/**
 * The heartbeat as CTEs of another statement, so that it costs no transaction of its own: in one statement, because a process that is
 * stopped between two would keep what the first one locked. Its eight parameters are those of `beatInstance`, from `$first` on.
 */
export function beatFrom(first: number): string {
  const p = (nth: number) => `$${first + nth}`;
  return `gone as (
      delete from instance where instance_id in (
        select instance_id from instance where instance_id <> ${p(0)}
          and last_seen_at < ${NOW_MS.postgres} - ${p(7)}::bigint * beat_ms for update skip locked)),
    beat as (
      ${BEAT} values (${p(0)}, ${p(1)}, ${p(2)}, ${p(3)}, ${p(4)}, ${p(5)}, ${p(6)}::int, ${NOW_MS.postgres},
        ${NOW_MS.postgres}) ${AGAIN})`;
}

/**
 * Says that a process is there, and forgets those that have missed too many beats. Parameters: id, app, roles, version, state,
 * report, ms between beats, how many are too many. Touches: instance.
 */
export const beatInstance: Statement = {
  name: 'beat-instance',
  postgres: `with ${beatFrom(1)} select 1`,
  sqlite: [
    `delete from instance where instance_id <> ?1 and last_seen_at < ${NOW_MS.sqlite} - ?8 * beat_ms`,
    // Every statement of a list takes all parameters.
    `${BEAT} select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ${NOW_MS.sqlite}, ${NOW_MS.sqlite} where ?8 > 0 ${AGAIN}`,
  ],
};
