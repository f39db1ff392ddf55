import type { StateStore } from './state-store';

/** Where the state lives. */
export type DatabaseAddress =
  { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: string };

export interface OpenStateStoreOptions {
  readonly poolSize?: number;
  readonly applicationName?: string;
  /** How long an answer of Postgres is waited for, in ms. */
  readonly answerTimeoutMs?: number;
  /** Told about errors on idle Postgres connections. */
  readonly onPoolError?: (error: Error) => void;
}

/**
 * Opens and migrates the store at `address`. Only that database's driver is loaded: the other one's memory is spared.
 * @throws {StoreUnavailableError} @throws {SchemaTooNewError}
 */
export async function openStateStore(
  address: DatabaseAddress,
  options: OpenStateStoreOptions = {},
): Promise<StateStore> {
  if (address.kind === 'sqlite') {
    const { SqliteStateStore } = await import(/* webpackMode: "eager" */ './sqlite-state-store');
    return SqliteStateStore.open({ path: address.path });
  }
  const { PostgresStateStore } = await import(/* webpackMode: "eager" */ './postgres-state-store');
  return PostgresStateStore.open({ url: address.url, ...options });
}
