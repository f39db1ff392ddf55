import { eventually, startOwnRedis, type OwnRedis } from '@tyrum/test-services';
import { Deployment, shell } from './deployment';

interface Readiness {
  readonly status: string;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly degraded?: string }[];
}

describe('an installation whose Redis goes away', () => {
  let redis: OwnRedis;
  let deployment: Deployment;

  beforeAll(async () => {
    redis = await startOwnRedis();
    deployment = new Deployment({ TYRUM_POLICY: 'open', TYRUM_REDIS_URL: redis.url });
    await deployment.start('edge');
  }, 120_000);
  afterAll(async () => {
    await deployment.stop();
    await redis.stop();
  });

  const readiness = async () => {
    const answer = await deployment.call('GET', '/readyz');
    const page = (await answer.json()) as Readiness;
    return { http: answer.status, backplane: page.checks.find(({ name }) => name === 'backplane') };
  };
  const runTurn = async () => {
    const turn = await deployment.startTurn('agent:default:main', [shell('true', 'read')]);
    expect((await deployment.ended(turn)).turn.status).toBe('succeeded');
  };

  it('serves on, says so on its health page, and says when it is back', async () => {
    await runTurn();
    expect(await readiness()).toMatchObject({ http: 200, backplane: { ok: true } });
    expect((await readiness()).backplane?.degraded).toBeUndefined();
    await redis.kill('SIGKILL');
    await eventually(async () => {
      const { http, backplane } = await readiness();
      expect(http).toBe(200);
      expect(backplane?.degraded).toBe('Redis cannot be reached: work goes on by polling');
    });
    await runTurn();
    const metrics = await (await deployment.call('GET', '/metrics')).text();
    expect(metrics).toMatch(/^tyrum_backplane_healthy 0$/m);
    await redis.start();
    await eventually(async () => expect((await readiness()).backplane?.degraded).toBeUndefined());
    await runTurn();
  });
});
