import { NOW_MS, type Statement } from '@tyrum/statestore';

/** Where the oldest row is the first of an index. */
const OLDEST = {
  outbox: 'occurred_at',
  directed_message: 'settled_at',
  firing: 'fired_at',
  lease_history: 'at',
  message: 'created_at',
  artifact: 'created_at',
  wait: 'created_at',
} as const;

const ages = (now: string) =>
  Object.entries(OLDEST)
    .map(([table, column]) => `select '${table}' as what, ${now} - (select min(${column}) from ${table}) as age_ms`)
    .join(' union all ');

/** How old the oldest row is, in ms, table by table; null = there is none. No parameters. Touches: those tables, each by one index probe. */
export const measureAges: Statement = {
  name: 'measure-ages',
  postgres: ages(NOW_MS.postgres),
  sqlite: ages(NOW_MS.sqlite),
};
