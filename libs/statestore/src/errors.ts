/** The database cannot be reached, is starting or stopping, or has no room, in memory or on its disk. Nothing of the transaction was kept. */
export class StoreUnavailableError extends Error {
  readonly code = 'store_unavailable';
  constructor(
    message: string,
    /** How long to wait before trying again, in milliseconds. */
    readonly retryAfterMs: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'StoreUnavailableError';
  }
}

/** Why a server that answers is not the one to work with. */
export type ServerRefusal =
  /** It follows another one, and cannot be written to. */
  | 'standby'
  /** A standby was promoted since, and this one does not know: what it takes now is lost. */
  | 'older_timeline'
  /** It is of another cluster than the one this process began with. */
  | 'other_cluster';

/** A server answers that must not be worked with; another connection may reach the right one. Nothing was written. */
export class StaleServerError extends StoreUnavailableError {
  constructor(
    readonly refusal: ServerRefusal,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, SERVER_RETRY_MS, options);
    this.name = 'StaleServerError';
  }
}

/** A failover takes seconds, and so does the address until it points to the new server. */
const SERVER_RETRY_MS = 500;

/** The connection went while COMMIT was under way: it may have happened. Resolve it by key, never report it as failed. */
export class UnknownCommitError extends Error {
  readonly code = 'commit_unknown';
  constructor(options?: ErrorOptions) {
    super('the connection was lost while COMMIT was under way; the outcome is unknown', options);
    this.name = 'UnknownCommitError';
  }
}

/** This binary is older than the schema allows. The operator must run a newer one. */
export class SchemaTooNewError extends Error {
  readonly code = 'schema_too_new';
  constructor(found: number, ours: number) {
    super(`the database needs schema revision ${found} or newer, this binary knows ${ours}: run a newer Tyrum`);
    this.name = 'SchemaTooNewError';
  }
}

/** What to do about an error the database driver threw. */
export type ErrorClass =
  /** Run the whole transaction again: serialization failure or deadlock. */
  | 'retry'
  /** The connection is gone; what it was doing has not been committed unless COMMIT was already sent. */
  | 'connection'
  /** The database has no room for us now: shed load and try later. */
  | 'overloaded'
  /** The disk has no room, or fails: nothing can be written until somebody makes room. Shed load and say so. */
  | 'disk'
  /** Anything else: a programmer's error, a constraint. */
  | 'other';

const RETRY = new Set(['40001', '40P01']);
/** 53200: the server's memory is full. 53300, 53400: its connections. 55P03, 57014: a wait was too long. */
const OVERLOADED = new Set(['53200', '53300', '53400', '55P03', '57014']);
/** 53100: disk full, 58030: I/O error. SQLite's own, and its code for a file beside the database that cannot be made. */
const DISK = new Set(['53100', '58030', 'SQLITE_FULL', 'SQLITE_IOERR', 'SQLITE_CANTOPEN']);
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);
const CONNECTION_MESSAGES =
  /Connection terminated|connection timeout|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Query runner already released|Client was closed/i;

/**
 * Sorts a driver's error by what the caller should do. SQLSTATE classes from the Postgres manual, appendix A; Node's
 * socket codes; pg's and TypeORM's own messages, which carry no code.
 */
export function classifyError(error: unknown): ErrorClass {
  if (error instanceof StaleServerError) return 'connection';
  const code = codeOf(error);
  if (RETRY.has(code)) return 'retry';
  if (OVERLOADED.has(code) || code === 'SQLITE_BUSY') return 'overloaded';
  if (DISK.has(code)) return 'disk';
  // 57P01-57P03: shutdown, crash, starting up. 08xxx: connection exceptions. 25006: we reached a standby. 25P03: we were
  // idle in a transaction for too long, and the server ended the session. TY001: ours, see `refuse_timeline_below`.
  if (/^(57P0\d|08\w{3}|25006|25P03|TY001)$/.test(code) || CONNECTION_CODES.has(code)) return 'connection';
  if (error instanceof Error && CONNECTION_MESSAGES.test(error.message)) return 'connection';
  return 'other';
}

/** Whether a row was refused because its key is taken. (SQLite says so of every kind of constraint.) */
export function isUniqueViolation(error: unknown): boolean {
  return ['23505', 'SQLITE_CONSTRAINT'].includes(codeOf(error));
}

/** Whether Postgres refused a statement only because one before it in the transaction had failed. */
export function isRefusal(error: unknown): boolean {
  return codeOf(error) === '25P02';
}

/** Whether a server answered that takes no writes: a standby, or one that was made read-only. */
export function isReadOnlyServer(error: unknown): boolean {
  return codeOf(error) === '25006';
}

/** Whether a server behind a pooler is on an older timeline than one seen before. */
export function isOlderTimeline(error: unknown): boolean {
  return codeOf(error) === 'TY001';
}

function codeOf(error: unknown): string {
  const own = (error as { code?: unknown } | null)?.code;
  const driver = (error as { driverError?: { code?: unknown } } | null)?.driverError?.code;
  return String(driver ?? own ?? '');
}
