import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Cluster, ClusterDeployment } from '@tyrum/protocol';
import { createPostgresDatabase, eventually, type AppProcess } from '@tyrum/test-services';
import { Deployment, shell } from './deployment';

const TTL_MS = 2_000;
const CLI = join(__dirname, '..', '..', '..', 'dist', 'apps', 'cli', 'main.js');

/** What `GET /v1/cluster` tells of processes that stop, die and leave. */
describe('the cluster', () => {
  let database: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let tyrum: Deployment;
  let edge: AppProcess;
  const worker = (name: string) => tyrum.start('worker', { TYRUM_INSTANCE_ID: name });

  beforeEach(async () => {
    database = await createPostgresDatabase();
    tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url, TYRUM_LEASE_TTL_MS: String(TTL_MS) });
    edge = await tyrum.start('edge', { TYRUM_INSTANCE_ID: 'edge-1' });
  });
  afterEach(async () => {
    await tyrum.stop();
    await database.drop();
  });

  const deployment = async (): Promise<ClusterDeployment> => {
    const { deployment: found } = (await (await tyrum.call('GET', '/v1/cluster')).json()) as Cluster;
    if (!found) throw new Error('the first tenant runs the installation');
    return found;
  };
  const states = async () =>
    Object.fromEntries((await deployment()).instances.map(({ instance_id, state }) => [instance_id, state]));
  const until = (expected: object, timeoutMs = 30_000) =>
    eventually(async () => expect(await states()).toEqual(expected), { timeoutMs });

  it('shows that a worker stopped, was taken over, and found out that it had lost', async () => {
    const first = await worker('w1');
    await until({ 'edge-1': 'ready', w1: 'ready' });
    const turn = await tyrum.startTurn('agent:default:main', [shell('sleep 1', 'read'), shell('sleep 6', 'read')]);
    await eventually(async () => expect((await tyrum.turn(turn)).turn.status).toBe('running'));
    await worker('w2');
    first.kill('SIGSTOP');
    const takeover = { kind: 'conversation', reason: 'taken_over', owner: 'w2', taken_from: 'w1', token: '1.2' };
    await eventually(async () => expect((await deployment()).takeovers).toMatchObject([takeover]), {
      timeoutMs: 30_000,
    });
    await eventually(async () => expect(await cluster()).toMatch(/^w1 +worker +0\.1\.0 +stale /m));
    expect(await cluster()).toMatch(/ taken_over +conversation +agent:default:main +1\.2 +w2 +w1$/m);
    first.kill('SIGCONT');
    await until({ 'edge-1': 'ready', w1: 'ready', w2: 'ready' });
    await eventually(
      async () => expect((await deployment()).takeovers).toMatchObject([{ reason: 'lost', owner: 'w1' }, takeover]),
      { timeoutMs: 30_000 },
    );
    expect((await tyrum.ended(turn)).turn.status).toBe('succeeded');
  });

  it('shows one that was killed as stale and then no more, and one that ended at once no more', async () => {
    const [first, second] = [await worker('w1'), await worker('w2')];
    await tyrum.start('scheduler', { TYRUM_INSTANCE_ID: 's1' });
    await until({ 'edge-1': 'ready', s1: 'ready', w1: 'ready', w2: 'ready' });
    const { leases, database: health } = await deployment();
    expect(leases.filter(({ kind, owner }) => kind === 'scheduler-shard' && owner === 's1').length).toBeGreaterThan(0);
    expect(health.schema_revision).toBe(health.known_revision);
    first.kill('SIGKILL');
    await first.exited;
    await until({ 'edge-1': 'ready', s1: 'ready', w1: 'stale', w2: 'ready' });
    await second.stop();
    await eventually(async () => expect(await states()).not.toHaveProperty('w2'), { timeoutMs: 5_000 });
    await until({ 'edge-1': 'ready', s1: 'ready' });
  });

  /** What the command line prints. */
  async function cluster(): Promise<string> {
    const env = { PATH: process.env['PATH'], TYRUM_URL: `http://127.0.0.1:${edge.port}`, TYRUM_TOKEN: tyrum.token };
    const child = spawn(process.execPath, [CLI, 'cluster'], { env });
    let out = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    await once(child, 'close');
    return out;
  }
});
