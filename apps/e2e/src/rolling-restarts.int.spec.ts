import { eventually } from '@tyrum/test-services';
import { BalancedEdges } from './balanced-edges';
import { Callers } from './callers';
import { histogram, renderHistogram } from './spread';
import { Watchers, type Comeback } from './watchers';

/** Of each edge. `npm run test:rolling-restarts` makes it 20. */
const RESTARTS = Number(process.env['TYRUM_TEST_ROLLING_RESTARTS'] ?? 2);
const EDGES = ['edge-a', 'edge-b'];
const WATCHERS = 20;
const ASKED_BUCKET_MS = 20;
const AWAY_BUCKET_MS = 200;
const CONVERSATIONS = Array.from({ length: 6 }, (_, i) => `agent:default:rolling:dm:peer-${i}`);

describe('two edges behind a balancer that are restarted in turn', () => {
  let cluster: BalancedEdges;
  beforeAll(async () => {
    cluster = await BalancedEdges.create();
    for (const name of EDGES) await cluster.start(name);
    await cluster.tyrum.start('worker');
  });
  afterAll(() => cluster.stop());

  it(
    `fails no request and misses no event over ${RESTARTS} restarts of each`,
    async () => {
      const { token } = cluster.tyrum;
      const watchers = await Watchers.connect(WATCHERS, { url: cluster.socketUrl, token });
      const callers = new Callers({
        port: cluster.balancer.port,
        token,
        conversationKeys: CONVERSATIONS,
        pauseMs: 40,
      });
      await callers.progress(20);
      for (let i = 0; i < RESTARTS; i += 1) {
        for (const name of EDGES) {
          await cluster.restart(name);
          await callers.progress(20);
        }
      }
      await callers.stop();
      expect({ failures: callers.failures, refusals: cluster.balancer.refusals }).toEqual({
        failures: [],
        refusals: [],
      });
      await eventually(() => expect(watchers.open).toBe(WATCHERS));
      await cluster.rest();
      const { events } = await watchers.expectAllEvents(cluster.database.url);
      watchers.close();
      report(`${callers.accepted} requests, ${events} events to each of ${WATCHERS} clients`, watchers.comebacks);
      expectSpread(watchers.comebacks);
    },
    60_000 + RESTARTS * 30_000,
  );
});

/** Everybody was sent away with a delay and kept to it, and the delays were not all alike. */
function expectSpread(comebacks: readonly Comeback[]): void {
  expect(comebacks.length).toBeGreaterThan(0);
  expect(comebacks.filter(({ askedMs }) => askedMs === undefined)).toEqual([]);
  expect(comebacks.filter(({ askedMs = 0, lostAt, backAt }) => backAt - lostAt < askedMs - 1)).toEqual([]);
  expect(Math.max(...histogram(askedOf(comebacks), ASKED_BUCKET_MS))).toBeLessThan(comebacks.length / 2);
}

function askedOf(comebacks: readonly Comeback[]): number[] {
  return comebacks.map(({ askedMs = 0 }) => askedMs);
}

function report(what: string, comebacks: readonly Comeback[]): void {
  const away = comebacks.map(({ lostAt, backAt }) => backAt - lostAt);
  process.stderr.write(
    [
      `\n${what}`,
      'delays asked for:',
      renderHistogram(histogram(askedOf(comebacks), ASKED_BUCKET_MS), ASKED_BUCKET_MS),
      'time away:',
      renderHistogram(histogram(away, AWAY_BUCKET_MS), AWAY_BUCKET_MS),
      '',
    ].join('\n'),
  );
}
