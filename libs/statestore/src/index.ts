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
export { portable } from './portable';
export { PostgresNotifications } from './postgres-notifications';
