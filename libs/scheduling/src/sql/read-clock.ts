import { NOW_MS, type Statement } from '@tyrum/statestore';

/** The database's clock. No parameters. */
export const readClock: Statement = {
  name: 'read-clock',
  postgres: `select ${NOW_MS.postgres} as now`,
  sqlite: `select ${NOW_MS.sqlite} as now`,
};
