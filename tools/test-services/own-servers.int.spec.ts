import { Redis } from 'ioredis';
import { Client } from 'pg';
import { answers, embeddedBinaries, startOwnPostgres } from './own-postgres';
import { pings, startOwnRedis } from './own-redis';

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('startOwnPostgres', () => {
  afterEach(() => {
    delete process.env['TYRUM_TEST_POSTGRES_BIN'];
  });

  it('keeps what was committed over a crash, and nothing else of its sessions', async () => {
    const server = await startOwnPostgres();
    expect(await query(server.url, 'show fsync')).toEqual([{ fsync: 'on' }]);
    await query(server.url, 'create table kept as select 7 as value');
    const session = new Client({ connectionString: server.url });
    const lost = new Promise((resolve) => session.once('error', resolve));
    await session.connect();
    await session.query('begin; insert into kept values (8)');
    await server.restartImmediate();
    await lost;
    expect(await query(server.url, 'select value from kept')).toEqual([{ value: 7 }]);
    await server.stop();
    await expect(answers(server.url)).rejects.toThrow();
  });

  it('starts from the npm package’s binaries where none are installed', async () => {
    process.env['TYRUM_TEST_POSTGRES_BIN'] = embeddedBinaries();
    const server = await startOwnPostgres({ fsync: 'off' });
    expect(await query(server.url, 'show fsync')).toEqual([{ fsync: 'off' }]);
    await server.stop();
  });

  it('says why a server does not start', async () => {
    await expect(startOwnPostgres({ no_such_setting: '1' })).rejects.toThrow(/no_such_setting/);
  });
});

describe('startOwnRedis', () => {
  it('comes back empty on its port after a kill', async () => {
    const server = await startOwnRedis();
    const write = new Redis(server.url);
    await write.set('key', 'value');
    write.disconnect();
    await server.kill('SIGKILL');
    await expect(pings(server.port)).rejects.toThrow();
    await server.start();
    const read = new Redis(server.url);
    expect(await read.get('key')).toBeNull();
    read.disconnect();
    await server.stop();
  });
});
