import { openStateStore } from '../open-state-store';

/** Migrates a fresh Postgres database, to be cloned by the tests of a run. */
export async function migrateTemplate(url: string): Promise<void> {
  const store = await openStateStore({ kind: 'postgres', url });
  await store.close();
}
