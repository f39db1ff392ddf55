import type { Contender, ContenderDatabase } from '../contender';

/** One measurement for one contender in one process: which driver, on which database, with which numbers. */
export interface Assignment {
  readonly driver: string;
  readonly database: ContenderDatabase;
  readonly params: Readonly<Record<string, number | string | boolean>>;
}

/** What a driver measured, by the metric's name. */
export type Measured = Readonly<Record<string, number>>;

export interface DriverContext {
  readonly contender: Contender;
  readonly database: ContenderDatabase;
  /** A number the plan sets for this run. @throws when it is not set */
  number(name: string): number;
  text(name: string): string;
  /** A number that the plan may leave out. */
  optional(name: string): number | undefined;
  /** Starts another process of the same contender that runs `driver` with the same database. */
  sibling(driver: string, params?: Assignment['params']): Sibling;
}

/** Another process of the same contender. */
export interface Sibling {
  readonly pid: number;
  /** Its next message. @throws when it exited instead, or none came in time */
  next<T>(timeoutMs?: number): Promise<T>;
  send(message: object): void;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has exited. */
  readonly exited: Promise<void>;
}

export type Driver = (context: DriverContext) => Promise<Measured>;
