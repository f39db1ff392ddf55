import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPostgresDatabase, eventually, type AppProcess } from '@tyrum/test-services';
import { Deployment, type Action } from './deployment';
import { InstalledClient, type RunningExample } from './installed-client';

const append = (line: string, more: object = {}): Action => ({
  type: 'Node',
  args: { capability: 'tyrum.ledger.append', line, ...more },
});
const read = (path: string): Action => ({ type: 'Node', args: { capability: 'tyrum.fs.read', path, effect: 'read' } });

/** Nodes made with the package of the client, in front of two edges and a worker that are killed in between. */
describe('a node of the client’s package', () => {
  let database: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let tyrum: Deployment;
  let client: InstalledClient;
  let edges: AppProcess[];
  let worker: AppProcess;
  let nodeToken: string;

  beforeAll(async () => {
    client = new InstalledClient();
    database = await createPostgresDatabase();
    tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url, TYRUM_LEASE_TTL_MS: '2000' });
    // The deployment asks the one that started last; that one is not killed.
    edges = [await tyrum.start('edge'), await tyrum.start('edge')];
    worker = await tyrum.start('worker');
    const made = await tyrum.call('POST', '/v1/tokens', { role: 'node' });
    nodeToken = ((await made.json()) as { token: string }).token;
    for (const name of ['files', 'keep-files', 'keep-ledger']) mkdirSync(join(client.folder, name));
  });
  afterAll(async () => {
    await client.remove();
    await tyrum.stop();
    await database.drop();
  });

  const urls = () => edges.map(({ port }) => `ws://127.0.0.1:${port}/ws`);
  const ledger = () => join(client.folder, 'ledger');
  const lines = () => (existsSync(ledger()) ? readFileSync(ledger(), 'utf8').trim().split('\n') : []);
  const begun = (line: string) => eventually(() => expect(lines()).toContain(line), { timeoutMs: 60_000 });
  const startLedger = () =>
    client.example('ledger-node.mjs', ledger(), join(client.folder, 'keep-ledger'), nodeToken, ...urls());
  const startFiles = () =>
    client.example(
      'file-node.mjs',
      join(client.folder, 'files'),
      join(client.folder, 'keep-files'),
      nodeToken,
      ...urls(),
    );
  const approve = async (label: string, capability: string) => {
    const pairing = await eventually(async () => {
      const answer = await tyrum.call('GET', '/v1/pairings');
      const { pairings } = (await answer.json()) as {
        pairings: { pairing_id: number; node: { label?: string; capabilities: object[] } }[];
      };
      const found = pairings.find(({ node }) => node.label === label);
      if (!found) throw new Error(`${label} has not asked yet`);
      return found;
    });
    const answer = await tyrum.call('POST', `/v1/pairings/${pairing.pairing_id}/approve`, {
      trust_level: 'local',
      capability_allowlist: [{ id: capability, version: '1.0.0' }],
    });
    expect(answer.status).toBe(200);
  };

  let node: RunningExample;
  it('waits to be paired, and then reads a file for a turn', async () => {
    writeFileSync(join(client.folder, 'files', 'note.txt'), 'hello\n');
    const files = startFiles();
    await files.printed(/^connected to/);
    const id = await tyrum.startTurn('agent:default:main', [read('note.txt'), read('../package.json')]);
    await approve('files', 'tyrum.fs.read');
    await files.printed(/^pairing approved/);
    const ended = await tyrum.ended(id);
    expect(ended.steps[0]).toMatchObject({ status: 'succeeded', result: { output: { content: 'hello\n' } } });
    const seen = (await (await tyrum.call('GET', `/v1/turns/${id}/artifacts`)).json()) as { artifacts: object[] };
    // The file that was read, and not the one outside of the folder.
    expect(seen.artifacts).toMatchObject([{ filename: 'evidence-0.json' }]);
    expect(ended).toMatchObject({ turn: { status: 'failed' }, steps: [{}, { status: 'failed' }] });

    // Killed and started again, it comes with its own token and goes on.
    await eventually(() => expect(existsSync(join(client.folder, 'keep-files', 'token'))).toBe(true));
    await files.kill('SIGKILL');
    const next = await tyrum.startTurn('agent:default:main', [read('note.txt')]);
    const again = startFiles();
    expect((await tyrum.ended(next)).turn.status).toBe('succeeded');
    await again.kill('SIGTERM');
  });

  it('has done it once when the worker was killed meanwhile', async () => {
    node = startLedger();
    await approve('ledger', 'tyrum.ledger.append');
    await node.printed(/^pairing approved/);
    const id = await tyrum.startTurn('agent:default:w:dm:1', [
      append('worker', { confirm_ms: 3_000 }),
      append('after'),
    ]);
    await begun('worker');
    worker.kill('SIGKILL');
    await worker.exited;
    worker = await tyrum.start('worker');
    const ended = await tyrum.ended(id);
    expect(ended.turn.status).toBe('succeeded');
    expect(lines()).toEqual(['worker', 'after']);
  });

  it('comes back by the other edge when its own was killed, and its answer counts', async () => {
    const [first] = edges as [AppProcess];
    await node.printed(new RegExp(`^connected to ws://127.0.0.1:${first.port}/`));
    const id = await tyrum.startTurn('agent:default:e:dm:1', [append('edge', { confirm_ms: 3_000 })]);
    await begun('edge');
    first.kill('SIGKILL');
    await first.exited;
    expect((await tyrum.ended(id, 90_000)).turn.status).toBe('succeeded');
    expect(lines().filter((line) => line === 'edge')).toHaveLength(1);
    await node.printed(new RegExp(`^connected to ws://127.0.0.1:${edges[1]?.port}/`));
  });

  it('says that it does not know when it was killed in the middle, and is not asked to do it again', async () => {
    const id = await tyrum.startTurn('agent:default:n:dm:1', [append('node', { confirm_ms: 60_000 })]);
    await begun('node');
    await node.kill('SIGKILL');
    node = startLedger();
    const parked = await tyrum.until(id, ['paused', 'succeeded', 'failed'], 90_000).then(() =>
      eventually(
        async () => {
          const turn = await tyrum.turn(id);
          expect(turn.turn.blocked_reason).toBe('manual');
          return turn;
        },
        { timeoutMs: 90_000 },
      ),
    );
    expect(parked.turn.blocked_detail).toMatch(/no end/);
    expect(lines().filter((line) => line === 'node')).toHaveLength(1);
    const answer = await tyrum.call('POST', `/v1/turns/${id}/resolve`, { decision: 'done' });
    expect(answer.status).toBe(200);
    expect((await tyrum.ended(id)).turn.status).toBe('succeeded');
    expect(lines().filter((line) => line === 'node')).toHaveLength(1);
  });

  it('finishes what runs when it is asked to stop', async () => {
    await node.printed(/^pairing approved/);
    const id = await tyrum.startTurn('agent:default:s:dm:1', [append('stop', { confirm_ms: 1_500 })]);
    await begun('stop');
    await node.kill('SIGTERM');
    expect((await tyrum.ended(id)).turn.status).toBe('succeeded');
  });
});
