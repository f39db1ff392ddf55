export type { ConversationRef, Dialect, Param, Reader, StateStore, Statement, Tx } from './state-store';
export {
  classifyError,
  isUniqueViolation,
  SchemaTooNewError,
  StoreUnavailableError,
  UnknownCommitError,
  type ErrorClass,
} from './errors';
export { openStateStore, type DatabaseAddress } from './open-state-store';
export { NOW_MS } from './clock-sql';
export { rowsOf } from './row-lists';
export { PostgresNotifications } from './postgres-notifications';
