import { PostgresStateStore } from './postgres-state-store';
import { SqliteStateStore } from './sqlite-state-store';
import type { StateStore } from './state-store';

/** Where the state lives. */
export type DatabaseAddress =
  { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: string };

export interface OpenStateStoreOptions {
  readonly poolSize?: number;
  readonly applicationName?: string;
  /** Told about errors on idle Postgres connections. */
  readonly onPoolError?: (error: Error) => void;
}

/** Opens and migrates the store at `address`. @throws {StoreUnavailableError} @throws {SchemaTooNewError} */
export function openStateStore(address: DatabaseAddress, options: OpenStateStoreOptions = {}): Promise<StateStore> {
  return address.kind === 'postgres'
    ? PostgresStateStore.open({ url: address.url, ...options })
    : SqliteStateStore.open({ path: address.path });
}
