import { existsSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { Client } from 'pg';
import { createDatabase, createPostgresDatabase, createSqlitePath, dropDatabase, dropLeftOvers } from './databases';
import { eventually } from './eventually';
import { isLeftOver, nameDatabase } from './run-database';

const server = () => process.env['TYRUM_TEST_POSTGRES_URL'] as string;

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

const exists = async (name: string) =>
  (await query(server(), `select 1 from pg_database where datname = '${name}'`)).length === 1;

/** A name as a process that has ended would have chosen it. */
function nameOfEndedProcess(): string {
  const ended = spawnSync(process.execPath, ['-e', '']).pid;
  return nameDatabase().replace(/tyrum_test_\d+/, `tyrum_test_${ended}`);
}

describe('createPostgresDatabase', () => {
  it('clones a migrated database, which is the test’s own', async () => {
    const [one, two] = await Promise.all([createPostgresDatabase(), createPostgresDatabase()]);
    await query(one.url, 'create table mine (id int)');
    expect(await query(one.url, `select to_regclass('turn')::text as turn, to_regclass('mine')::text as mine`)).toEqual(
      [{ turn: 'turn', mine: 'mine' }],
    );
    expect(await query(two.url, `select to_regclass('mine')::text as mine`)).toEqual([{ mine: null }]);
    await Promise.all([one.drop(), two.drop()]);
    await expect(query(one.url, 'select 1')).rejects.toThrow(/does not exist/);
  });

  it('drops a database that sessions still use', async () => {
    const database = await createPostgresDatabase();
    const session = new Client({ connectionString: database.url });
    session.on('error', () => {});
    await session.connect();
    await database.drop();
    await expect(query(database.url, 'select 1')).rejects.toThrow(/does not exist/);
  });

  it('waits for a session that has not left the template yet', async () => {
    const template = await createDatabase(server());
    const session = new Client({ connectionString: template.url });
    await session.connect();
    const name = new URL(template.url).pathname.slice(1);
    const copy = createDatabase(server(), `template ${name}`);
    // Postgres itself waits 5 s for such sessions before it refuses; each attempt of ours is a session of its own.
    const attempts = new Set<unknown>();
    await eventually(
      async () => {
        const sql = `select pid from pg_stat_activity where query like 'create database%template ${name}'`;
        for (const { pid } of await query(server(), sql)) attempts.add(pid);
        expect(attempts.size).toBe(2);
      },
      { timeoutMs: 20_000 },
    );
    await session.end();
    await (await copy).drop();
    await template.drop();
  });

  it('fails at once for any other reason', async () => {
    await expect(createDatabase(server(), 'template no_such_template')).rejects.toThrow(/no_such_template/);
  });
});

describe('dropLeftOvers', () => {
  it('drops what an ended process left and nothing else', async () => {
    const leftOver = nameOfEndedProcess();
    const [ours, foreign] = [nameDatabase(), nameOfEndedProcess().replace(/_[0-9a-f]{8}_/, '_00000000_')];
    for (const name of [leftOver, ours, foreign]) await query(server(), `create database ${name}`);
    await dropLeftOvers(server());
    expect(await Promise.all([leftOver, ours, foreign].map(exists))).toEqual([false, true, true]);
    for (const name of [ours, foreign]) await dropDatabase(server(), name);
  });

  it('knows a process id that was given again by its start', () => {
    const ours = nameDatabase();
    expect(isLeftOver(ours)).toBe(false);
    expect(isLeftOver(ours.replace(/(tyrum_test_\d+_)\d+/, '$11'))).toBe(true);
    expect(isLeftOver('postgres')).toBe(false);
  });
});

describe('createSqlitePath', () => {
  it('names a file in a folder of its own and removes both', () => {
    const [one, two] = [createSqlitePath(), createSqlitePath()];
    expect(one.path).not.toBe(two.path);
    writeFileSync(one.path, '');
    one.remove();
    two.remove();
    expect(existsSync(one.path)).toBe(false);
  });
});
