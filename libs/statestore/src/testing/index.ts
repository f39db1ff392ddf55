import { createPostgresDatabase, createSqlitePath, startOwnPgBouncer } from '@tyrum/test-services';
import { openStateStore, type DatabaseAddress } from '../open-state-store';
import type { Dialect, StateStore } from '../state-store';

export { expireConversations } from './expire-conversations';
export { act, checkAgainstModel, type Act, type Model, type Real } from './model-run';
export { describeStateStore } from './state-store-conformance';

/** A database of one test, and stores on it. */
export interface TestStores {
  readonly dialect: Dialect;
  readonly address: DatabaseAddress;
  /** Opens another store on the same database, as another process would. Closed with the test. */
  open(): Promise<StateStore>;
}

/**
 * Runs the same tests on both dialects, each test on a fresh migrated database. What differs between them is in the
 * product's interface; a test that only one can pass does not belong here.
 */
export function describeOnBothDialects(name: string, tests: (stores: () => TestStores) => void): void {
  describe.each(['sqlite', 'postgres'] as const)(`${name} on %s`, (dialect) => {
    runOn(() => createDatabase(dialect), tests);
  });
}

/** Runs tests of both dialects on Postgres behind a pooler that hands out its connections by transaction. */
export function describeBehindPooler(name: string, tests: (stores: () => TestStores) => void): void {
  describe(`${name} behind PgBouncer`, () => {
    runOn(async () => {
      const database = await createPostgresDatabase();
      const pooler = await startOwnPgBouncer(database.url);
      const remove = () => pooler.stop().then(() => database.drop());
      return { address: { kind: 'postgres', url: pooler.url }, remove };
    }, tests);
  });
}

interface CreatedDatabase {
  readonly address: DatabaseAddress;
  remove(): Promise<void>;
}

function runOn(create: () => Promise<CreatedDatabase>, tests: (stores: () => TestStores) => void): void {
  let current: TestStores | undefined;
  let cleanups: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    const { address, remove } = await create();
    cleanups = [remove];
    current = {
      dialect: address.kind,
      address,
      open: async () => {
        const store = await openStateStore(address, { poolSize: 5 });
        cleanups.push(() => store.close());
        return store;
      },
    };
  });

  tests(() => {
    if (!current) throw new Error('stores exist while a test runs');
    return current;
  });

  // Hooks of one block run in the order of their definition: what the tests opened on the stores is closed before them.
  afterEach(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
    current = undefined;
  });
}

async function createDatabase(dialect: Dialect): Promise<CreatedDatabase> {
  if (dialect === 'sqlite') {
    const { path, remove } = createSqlitePath();
    return { address: { kind: 'sqlite', path }, remove: () => Promise.resolve(remove()) };
  }
  const database = await createPostgresDatabase();
  return { address: { kind: 'postgres', url: database.url }, remove: () => database.drop() };
}
