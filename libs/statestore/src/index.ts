export type { ConversationRef, Dialect, Param, Reader, StateStore, Statement, Tx } from './state-store';
export {
  classifyError,
  isUniqueViolation,
  SchemaTooNewError,
  StaleServerError,
  StoreUnavailableError,
  UnknownCommitError,
  type ErrorClass,
  type ServerRefusal,
} from './errors';
export { openStateStore, type DatabaseAddress } from './open-state-store';
export { readDatabaseHealth, type DatabaseHealth } from './database-health';
export { beatFrom, beatInstance } from './sql/beat-instance';
export { NOW_MS } from './clock-sql';
export { rowsOf } from './row-lists';
export { describeToken, LEAST_TOKEN } from './lease-token';
export { portable } from './portable';
export { PostgresNotifications } from './postgres-notifications';
export { TableWalk, type Deleted, type WalkedTable } from './table-walk';
