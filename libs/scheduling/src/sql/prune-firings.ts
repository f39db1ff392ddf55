import { NOW_MS, type Statement } from '@tyrum/statestore';

/** Deletes a batch of firings past an age and returns them. Parameters: age in ms, limit. Touches: firing. */
export const pruneFirings: Statement = {
  name: 'prune-firings',
  postgres: `
    delete from firing where (tenant_id, schedule_id, instant) in (
      select tenant_id, schedule_id, instant from firing where fired_at < (select ${NOW_MS.postgres} - $1::bigint)
      order by fired_at limit $2)
    returning instant`,
  sqlite: `
    delete from firing where rowid in (
      select rowid from firing where fired_at < ${NOW_MS.sqlite} - ?1 order by fired_at limit ?2)
    returning instant`.trim(),
};
