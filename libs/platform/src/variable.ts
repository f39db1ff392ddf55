import type { Parse } from './parsers';

/** The four processes Tyrum ships. */
export type AppName = 'edge' | 'worker' | 'scheduler' | 'desktop-runtime';

/** The loops an edge process can host besides serving clients. */
export type Role = 'edge' | 'worker' | 'scheduler';

/** One variable of the environment: all that the loader and `--help` know about it. */
export interface Variable<T> {
  readonly name: string;
  readonly description: string;
  /** What a good value is, completing the sentence "NAME must be …". Never quotes a value. */
  readonly expected: string;
  /** The apps that read it. Elsewhere it is neither checked nor kept, so that one env file can serve all apps. */
  readonly apps: readonly AppName[];
  readonly parse: Parse<T>;
  /** The value when unset. Absent: unset stays unset, or the loader derives it as `derivedDefault` says. */
  readonly fallback?: (app: AppName) => T;
  /** The default in words where it depends on other variables. */
  readonly derivedDefault?: string;
}

/** Whoever may run the scheduler's loops. */
export const SWEEPS: readonly AppName[] = ['edge', 'scheduler'];

export function variable<T>(definition: Variable<T>): Variable<T> {
  return definition;
}
