import {
  askServer,
  eventually,
  startMovableAddress,
  startOwnPostgres,
  startOwnStandby,
  type AppProcess,
  type MovableAddress,
  type OwnPostgres,
  type OwnStandby,
} from '@tyrum/test-services';
import { Deployment, shell } from './deployment';
import { Load } from './load';

const KEYS = Array.from({ length: 4 }, (_, i) => `agent:default:load:dm:peer-${i}`);

describe('a cluster whose Postgres fails over', () => {
  let primary: OwnPostgres;
  let standby: OwnStandby;
  let address: MovableAddress;
  let tyrum: Deployment;
  let apps: AppProcess[];
  let cleanups: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    primary = await startOwnPostgres();
    cleanups = [() => primary.stop()];
    standby = await startOwnStandby(primary);
    cleanups.push(() => standby.stop());
    address = await startMovableAddress(primary.port);
    cleanups.push(() => address.close());
    tyrum = new Deployment({ TYRUM_DATABASE_URL: address.through(primary.url), TYRUM_LEASE_TTL_MS: '3000' });
    cleanups.push(() => tyrum.stop());
    const edge = await tyrum.start('edge');
    apps = [edge, ...(await Promise.all([tyrum.start('worker'), tyrum.start('worker'), tyrum.start('scheduler')]))];
  }, 240_000);

  afterEach(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  async function failOver(): Promise<void> {
    await standby.promote();
    address.pointTo(standby.port);
    address.cut();
  }

  /** A turn that runs to its end, on a conversation whose token is the higher for it. */
  async function run(): Promise<string> {
    const id = await tyrum.startTurn('agent:default:main', [shell('true', 'idempotent')]);
    expect((await tyrum.ended(id)).turn.status).toBe('succeeded');
    return id;
  }

  const expectNoneExited = () => expect(apps.filter((app) => app.exitCode !== null)).toEqual([]);

  it('loses no acknowledged turn when the standby is synchronous', async () => {
    await standby.makeSynchronous();
    const load = new Load(tyrum, KEYS);
    await load.progress();
    await primary.stopImmediate();
    await failOver();
    await load.progress();
    await load.stop();
    await load.expectAllThere(standby.url);
    expectNoneExited();
  }, 240_000);

  it('may lose turns when it is asynchronous, but goes on where a tool runner has seen later tokens, and refuses the old primary', async () => {
    await run();
    await standby.caughtUp();
    await standby.stopReceiving();
    const lost: string[] = [];
    for (let i = 0; i < 3; i += 1) lost.push(await run());
    const [forgotten] = await askServer<{ lease_token: number }>(
      primary.url,
      'select lease_token from conversation_queue',
    );
    await failOver();

    // The runners remember the tokens of the lost turns on their own disk.
    const after = await eventually(run, { timeoutMs: 60_000 });
    const [current] = await askServer<{ lease_token: number }>(
      standby.url,
      'select lease_token from conversation_queue',
    );
    expect(Number(current?.lease_token)).toBeGreaterThan(Number(forgotten?.lease_token));
    for (const id of lost) expect((await tyrum.call('GET', `/v1/turns/${id}`)).status).toBe(404);

    address.pointTo(primary.port);
    address.cut();
    for (const { port } of apps) {
      await eventually(async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
        expect(answer.status).toBe(503);
        expect(await answer.text()).toContain('the server is on timeline 1, and 2 has been seen');
      });
    }
    await expect(tyrum.startTurn('agent:default:main', [shell('true')])).rejects.toThrow('not accepted: 503');

    address.pointTo(standby.port);
    address.cut();
    const last = await eventually(run, { timeoutMs: 60_000 });
    const known = await askServer<{ turn_id: string }>(standby.url, 'select turn_id from turn');
    expect(known.map((turn) => turn.turn_id)).toEqual(expect.arrayContaining([after, last]));
    expectNoneExited();
  }, 240_000);
});
