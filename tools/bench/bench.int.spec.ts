import { createPostgresDatabase, createSqlitePath, type TestDatabase } from '@tyrum/test-services';
import type { ContenderDatabase } from './contender';
import { DRIVERS } from './drivers/index';
import type { Driver, DriverContext, Measured } from './drivers/driver';
import { tyrum } from './engine';

/** A driver at a tiny size in this process: that it works is shown here, what it measures is not. */
function run(name: string, database: ContenderDatabase, params: Record<string, number | string>): Promise<Measured> {
  const param = (key: string): number | string => {
    const value = params[key];
    if (value === undefined) throw new Error(`${name} needs "${key}"`);
    return value;
  };
  const context: DriverContext = {
    contender: tyrum,
    database,
    number: (key) => Number(param(key)),
    text: (key) => String(param(key)),
    optional: (key) => (key in params ? Number(param(key)) : undefined),
    sibling: () => {
      throw new Error('no other process here');
    },
  };
  return (DRIVERS[name] as Driver)(context);
}

describe('the drivers on Postgres', () => {
  let database: TestDatabase;
  const at = (): ContenderDatabase => ({ kind: 'postgres', address: database.url });

  beforeEach(async () => {
    database = await createPostgresDatabase();
  });
  afterEach(() => database.drop());

  it('count what was accepted', async () => {
    const params = { inFlight: 4, conversations: 5, warmupMs: 200, durationMs: 2_000 };
    const measured = await run('accept', at(), params);
    expect(measured['rate']).toBeGreaterThan(0);
    expect(measured['p99']).toBeGreaterThanOrEqual(measured['p50'] as number);
  });

  it('run keyed turns once each and in order', async () => {
    const measured = await run('keyed', at(), { jobs: 60, keys: 6, spread: 'zipf', concurrency: 4 });
    expect(measured).toMatchObject({ out_of_order: 0, ran_twice: 0 });
    expect(measured['rate']).toBeGreaterThan(0);
  });

  it('run every step of stepped turns', async () => {
    const measured = await run('steps', at(), { jobs: 10, keys: 1, spread: 'none', concurrency: 5, steps: 3 });
    expect(measured['ran_twice']).toBe(0);
    expect(measured['turn_p99']).toBeGreaterThan(0);
  });

  it('settle by statements alone all that was accepted so', async () => {
    const measured = await run('bareDrain', at(), { jobs: 40, keys: 4, claim: 3, turnsEach: 5 });
    expect(measured['rate']).toBeGreaterThan(0);
  });
});

it('a whole turn on SQLite comes back to its caller', async () => {
  const file = createSqlitePath();
  const params = { inFlight: 4, conversations: 5, warmupMs: 50, durationMs: 2_000, concurrency: 4 };
  const measured = await run('fullTurn', { kind: 'sqlite', address: file.path }, params);
  file.remove();
  expect(measured['rate']).toBeGreaterThan(0);
});
