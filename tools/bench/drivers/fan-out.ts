import { randomUUID } from 'node:crypto';
import { percentile } from '../statistics';
import type { OpenSockets } from '../contender';
import { cpuMsOf } from './cpu-time';
import type { Driver, Sibling } from './driver';
import type { Expectation, Received } from './fan-out-clients';

const SERVERS = 2;
const CLIENT_PROCESSES = 2;
const CONNECT_TIMEOUT_MS = 120_000;
const WARMUP_EVENTS = 3;
/** Publishes under way at once while throughput is measured. */
const IN_FLIGHT = 8;
const PAYLOAD_PAD = 'x'.repeat(64);

/**
 * One event to every socket of two server processes: deliveries a second of a burst, and how long a delivery takes while events
 * come one by one. Sockets are held by processes of their own.
 */
export const fanOut: Driver = async ({ contender, database, number, sibling }) => {
  if (!contender.openSockets) throw new Error(`${contender.name} has no sockets`);
  const servers = await contender.openSockets({ database, processes: SERVERS });
  const clients = Array.from({ length: CLIENT_PROCESSES }, () =>
    sibling('fanOutClients', {
      sockets: number('sockets') / CLIENT_PROCESSES,
      urls: servers.urls.join(','),
      greeting: servers.greeting,
      token: servers.token ?? '',
    }),
  );
  for (const client of clients) await client.next(CONNECT_TIMEOUT_MS);
  const run = new Run(servers, clients);
  for (let i = 0; i < WARMUP_EVENTS; i += 1) await run.deliver(1);
  const latencies: number[] = [];
  for (let i = 0; i < number('paced'); i += 1) latencies.push(...(await run.deliver(1)).latencies);
  const cpuBefore = cpuMsOf(servers.pids);
  const burst = await run.deliver(number('burst'));
  const cpuMs = cpuMsOf(servers.pids) - cpuBefore;
  for (const client of clients) client.send({ stop: true });
  await Promise.all(clients.map(({ exited }) => exited));
  await servers.close();
  const deliveries = number('burst') * number('sockets');
  return {
    rate: deliveries / burst.seconds,
    cpu_us: (cpuMs * 1_000) / deliveries,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  };
};

class Run {
  constructor(
    private readonly servers: OpenSockets,
    private readonly clients: readonly Sibling[],
  ) {}

  /** Publishes so many events; resolves when every socket has them all. */
  async deliver(events: number): Promise<{ latencies: number[]; seconds: number }> {
    const received = this.clients.map((client) => client.next<Received>());
    for (const client of this.clients) client.send({ events } satisfies Expectation);
    // The expectation has to be there before the first event.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const startedAt = now();
    let left = events;
    const publisher = async (): Promise<void> => {
      while (left-- > 0) await this.servers.publish(eventAt(now()));
    };
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, events) }, publisher));
    const all = await Promise.all(received);
    const lastAt = Math.max(...all.map(({ lastAt: at }) => Number(at)));
    return { latencies: all.flatMap((each) => each.latencies), seconds: (lastAt - startedAt) / 1e9 };
  }
}

/** What all of them send, as large as an event of ours with its cursor. */
function eventAt(at: number) {
  return {
    event_id: randomUUID(),
    type: 'delivery.receipt',
    occurred_at: new Date().toISOString(),
    scope: { kind: 'global' },
    payload: { at: String(at), pad: PAYLOAD_PAD },
    cursor: PAYLOAD_PAD,
  };
}

/** The clock that all processes of the host share, in ns. */
function now(): number {
  const [seconds, ns] = process.hrtime();
  return seconds * 1e9 + ns;
}
