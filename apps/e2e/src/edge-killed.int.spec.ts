import { readFileSync } from 'node:fs';
import { eventually } from '@tyrum/test-services';
import { BalancedEdges } from './balanced-edges';
import { Callers } from './callers';
import { histogram, renderHistogram } from './spread';
import { Watchers } from './watchers';

/** `npm run test:rolling-restarts` makes it 1,000. */
const CLIENTS = Number(process.env['TYRUM_TEST_KILLED_EDGE_CLIENTS'] ?? 100);
const BUCKET_MS = 50;
/** What the surviving edge may take for a thousand clients that come at once, in MiB: 192 KiB each, with what they catch up. */
const MAX_GROWTH_MIB = 192;
const SAMPLE_MS = 50;
const CONVERSATIONS = ['agent:default:killed:dm:peer-0', 'agent:default:killed:dm:peer-1'];

describe('an edge that is killed with all clients on it', () => {
  let cluster: BalancedEdges;
  beforeAll(async () => {
    cluster = await BalancedEdges.create();
    await cluster.start('edge-a');
    await cluster.tyrum.start('worker');
  });
  afterAll(() => cluster.stop());

  it(
    `gets its ${CLIENTS} clients back on the other one, where each misses nothing`,
    async () => {
      const { token } = cluster.tyrum;
      const watchers = await Watchers.connect(CLIENTS, { url: cluster.socketUrl, token });
      const survivor = await cluster.start('edge-b');
      const callers = new Callers({
        port: cluster.balancer.port,
        token,
        conversationKeys: CONVERSATIONS,
        pauseMs: 200,
      });
      await callers.progress(5);
      const memory = watchMemory(survivor.pid);
      const before = memory.now();
      cluster.edge('edge-a').kill('SIGKILL');
      await eventually(() => expect(watchers.comebacks).toHaveLength(CLIENTS), { timeoutMs: 60_000 });
      await callers.progress(5);
      await callers.stop();
      await cluster.rest();
      const { events } = await watchers.expectAllEvents(cluster.database.url);
      const peak = memory.stop();
      expect(watchers.open).toBe(CLIENTS);
      watchers.close();

      const firstLossAt = Math.min(...watchers.comebacks.map(({ lostAt }) => lostAt));
      const back = histogram(
        watchers.comebacks.map(({ backAt }) => backAt - firstLossAt),
        BUCKET_MS,
      );
      const grown = `${Math.round(before)} MiB before, ${Math.round(peak)} MiB at the most`;
      process.stderr.write(`\n${events} events to each of ${CLIENTS} clients; the other edge: ${grown}; back after\n`);
      process.stderr.write(`${renderHistogram(back, BUCKET_MS)}\n`);
      expect(Math.max(...back)).toBeLessThan(CLIENTS / 2);
      expect(peak - before).toBeLessThan(MAX_GROWTH_MIB);
    },
    60_000 + CLIENTS * 300,
  );
});

/** Looks at a process's resident memory now and then, in MiB. */
function watchMemory(pid: number): { now(): number; stop(): number } {
  const now = (): number => {
    const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    if (!found) throw new Error('the system does not say how much memory the process has');
    return Number(found[1]) / 1_024;
  };
  let peak = now();
  const look = (): number => (peak = Math.max(peak, now()));
  const looking = setInterval(look, SAMPLE_MS);
  const stop = (): number => {
    clearInterval(looking);
    return look();
  };
  return { now, stop };
}
