import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { createPostgresDatabase, redisUrl, type AppProcess, type TestDatabase } from '@tyrum/test-services';
import { openStateStore, type StateStore } from '@tyrum/statestore';
import { Deployment, type Action, type TurnAnswer } from './deployment';

/** Something that no other text contains, with characters that every encoding treats in its own way. */
const CANARY = `cänary/${randomBytes(12).toString('hex')}+"q" end`;
const BYTES = Buffer.from(CANARY);

/** Everything a file, a row or a line may not contain: the value, and what programs make of it unasked. */
const FORMS = [
  CANARY,
  BYTES.toString('hex'),
  BYTES.toString('hex').toUpperCase(),
  ...[0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), BYTES])
      .toString('base64')
      .slice(4, -4),
  ),
  ...[0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), BYTES])
      .toString('base64url')
      .slice(4, -4),
  ),
  encodeURIComponent(CANARY),
  JSON.stringify(CANARY).slice(1, -1),
].map((text) => Buffer.from(text));

function expectNone(where: string, bytes: Buffer): void {
  const found = FORMS.filter((form) => bytes.includes(form)).map((form) => form.toString());
  expect({ where, found }).toEqual({ where, found: [] });
}

const SAYS_IT_ALL = `
  const { TOKEN } = process.env;
  const b = Buffer.from(TOKEN);
  const forms = [TOKEN, b.toString('base64'), Buffer.from('x' + TOKEN).toString('base64url'), Buffer.from('xy' + TOKEN).toString('base64'),
    b.toString('hex'), encodeURIComponent(TOKEN), JSON.stringify({ TOKEN })];
  const half = forms.join('\\n');
  process.stdout.write(half.slice(0, 10));
  setTimeout(() => {
    process.stdout.write(half.slice(10));
    console.error(TOKEN);
    for (let i = 0; i < 3000; i++) console.log(i, ...forms);
    process.exitCode = Number(process.argv[1] ?? 0);
  }, 20);`;

describe.each(['sqlite', 'postgres'] as const)("a secret's value on %s", (dialect) => {
  let tyrum: Deployment;
  let database: TestDatabase | undefined;
  let server: Server;
  let received: string[];
  const processes: AppProcess[] = [];

  beforeAll(async () => {
    received = [];
    server = createServer((request, response) => {
      const { authorization = '' } = request.headers;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        received.push(Buffer.from(authorization, 'latin1').toString('utf8'), body);
        response
          .writeHead(500, { 'x-said': encodeURIComponent(body) })
          .end(`${body} ${Buffer.from(body).toString('base64')}`);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const shared = { TYRUM_HTTP_ALLOW: '127.0.0.1', TYRUM_LOG_LEVEL: 'debug' };
    if (dialect === 'sqlite') {
      tyrum = new Deployment(shared);
      processes.push(await tyrum.start('edge'));
      return;
    }
    database = await createPostgresDatabase();
    tyrum = new Deployment({
      ...shared,
      TYRUM_DATABASE_URL: database.url,
      TYRUM_REDIS_URL: redisUrl(),
      TYRUM_SECRET_KEYS: randomBytes(32).toString('base64url'),
    });
    processes.push(await tyrum.start('edge'), await tyrum.start('worker'));
  });
  afterAll(async () => {
    server.close().closeAllConnections();
    await tyrum.stop();
    await database?.drop();
  });

  /** Runs steps to their turn's end; all that is said of it belongs to what is searched. */
  const said: Buffer[] = [];
  async function run(steps: readonly Action[]): Promise<TurnAnswer> {
    const answer = await tyrum.ended(await tyrum.startTurn('agent:default:secrets:dm:a', steps));
    said.push(Buffer.from(JSON.stringify(answer)));
    return answer;
  }

  it('reaches commands and requests, and is nowhere else', async () => {
    const made = await tyrum.call('POST', '/v1/secrets', { key: 'canary', value: CANARY });
    expect(made.status).toBe(201);
    const env = { TOKEN: 'secret:canary' };
    const command = (...args: string[]): Action => ({
      type: 'CLI',
      args: { cmd: process.execPath, args: ['-e', SAYS_IT_ALL, ...args], env, effect: 'idempotent' },
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const post: Action = {
      type: 'Http',
      args: {
        method: 'POST',
        url,
        headers: { authorization: 'Basic secret:ascii' },
        body: { deep: ['secret:canary'] },
        effect: 'once',
      },
    };
    await tyrum.call('POST', '/v1/secrets', { key: 'ascii', value: 'plain-ascii-value' });
    const ran = await run([command()]);
    expect(ran.turn.status).toBe('succeeded');
    expect(ran.steps[0]?.result?.output).toContain('[secret:canary]');
    expect(ran.steps[0]?.artifacts).toHaveLength(1);
    expect((await run([command('3')])).turn.status).toBe('failed');
    expect((await run([post])).turn.status).toBe('failed');
    expect(received).toEqual(['Basic plain-ascii-value', JSON.stringify({ deep: [CANARY] })]);
    const missing = await run([{ type: 'CLI', args: { cmd: 'true', env: { X: 'secret:missing' } } }]);
    expect(missing.turn.status).toBe('failed');

    for (const path of ['/v1/secrets', '/v1/secrets/canary', '/v1/audit?limit=200', '/v1/turns?limit=200']) {
      said.push(Buffer.from(await (await tyrum.call('GET', path)).text()));
    }
    said.forEach((bytes, i) => expectNone(`answer ${i}`, bytes));
    expect(Buffer.concat(said).toString()).toContain('secret.used');
    for (const { logs, output } of processes) expectNone('log', Buffer.from(JSON.stringify([logs, output])));
    if (database) await expectNoneInTables(database.url);
    // The database file and its log, workspaces, journals, artifacts.
    const files = readdirSync(tyrum.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(3);
    for (const { parentPath, name } of files) expectNone(name, readFileSync(join(parentPath, name)));
  });
});

async function expectNoneInTables(url: string): Promise<void> {
  const store: StateStore = await openStateStore({ kind: 'postgres', url });
  const ask = (postgres: string) =>
    store.execute<{ text: string }>({ name: postgres.slice(0, 40), postgres, sqlite: '' });
  const tables = await ask(`select quote_ident(tablename) as text from pg_tables where schemaname = 'public'`);
  expect(tables.length).toBeGreaterThan(20);
  for (const { text: table } of tables) {
    const rows = await ask(`select t::text as text from ${table} t`);
    expectNone(table, Buffer.from(rows.map(({ text }) => text).join('\n')));
  }
  await store.close();
}
