import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createDeviceIdentity, TyrumClient, type WebSocketConstructor } from '@tyrum/client';
import { WebSocket } from 'ws';
import { apps } from '../edge-sockets';
import { percentile } from '../statistics';
import { cpuMsOf } from './cpu-time';
import type { Driver, DriverContext, Measured } from './driver';

const TURN_TIMEOUT_MS = 30_000;
const HOST = '127.0.0.1';

/**
 * Whole turns through one edge and one worker, built apps, as a client of the library sees them: from sending `workflow.start` to
 * being told `turn.completed`. Either so many in flight, or so many a second, whatever becomes of those before. A turn is one `Http`
 * step to a server in this process: of what a worker runs as it is shipped it costs least beside the turn itself, while steps in a
 * workspace are as fast as its disk, which raises a fence for each lease.
 */
export const socketTurns: Driver = async (context) => {
  const running = apps(context.database.address);
  const [edge, worker] = await Promise.all([
    running.start('edge'),
    running.start('worker', { TYRUM_HTTP_ALLOW: HOST }),
  ]);
  const url = `ws://${HOST}:${edge.port}/ws`;
  const measured = await measureTurns(context, { url, token: running.token, edge: edge.pid, worker: worker.pid });
  await running.stop();
  return measured;
};

/** What turns are sent to, and whose processor time counts. */
export interface TurnServers {
  readonly url: string;
  readonly token: string;
  /** Process ids. */
  readonly edge: number;
  readonly worker: number;
}

/** Sends turns from this process, as `socketTurns` says, and serves their steps. */
export async function measureTurns({ number, optional }: DriverContext, servers: TurnServers): Promise<Measured> {
  const target = createServer((_, response) => response.end('ok')).listen(0, HOST);
  await once(target, 'listening');
  const url = `http://${HOST}:${(target.address() as AddressInfo).port}/`;
  const caller = await Caller.connect(servers.url, servers.token, url);
  const samples: Sample[] = [];
  const cpu = (): number[] => [servers.edge, servers.worker].map((pid) => cpuMsOf([pid]));
  const cpuBefore = cpu();
  const startedAt = performance.now();
  const countFrom = startedAt + number('warmupMs');
  const until = countFrom + number('durationMs');
  let asked = 0;
  const turn = async (): Promise<void> => {
    samples.push(await caller.run(`agent:default:dm:k${asked++ % number('conversations')}`));
  };
  const perSecond = optional('perSecond');
  if (perSecond === undefined) {
    const oneAfterTheOther = async (): Promise<void> => {
      while (performance.now() < until) await turn();
    };
    await Promise.all(Array.from({ length: number('inFlight') }, oneAfterTheOther));
  } else {
    await atRate(perSecond, until, turn);
  }
  const [edgeMs = 0, workerMs = 0] = cpu().map((ms, i) => ms - (cpuBefore[i] ?? 0));
  caller.close();
  target.closeAllConnections();
  target.close();
  // A slow turn counts with its time however late it ends, and for the rate only if it ended in time.
  const counted = samples.filter(({ askedAt }) => askedAt >= countFrom && askedAt <= until);
  const ended = samples.filter(({ completedAt }) => completedAt >= countFrom && completedAt <= until);
  const whole = counted.map(({ askedAt, completedAt }) => completedAt - askedAt);
  const accepted = counted.map(({ askedAt, acceptedAt }) => acceptedAt - askedAt);
  return {
    rate: ended.length / (number('durationMs') / 1_000),
    p50: percentile(whole, 0.5),
    p99: percentile(whole, 0.99),
    accepted_p50: percentile(accepted, 0.5),
    edge_us: (edgeMs * 1_000) / samples.length,
    worker_us: (workerMs * 1_000) / samples.length,
  };
}

/** Begins `work` so often until then, also while earlier ones have not ended. Resolves when all have. */
async function atRate(perSecond: number, until: number, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  const begun: Promise<void>[] = [];
  while (performance.now() < until) {
    const due = ((performance.now() - startedAt) / 1_000) * perSecond;
    if (begun.length <= due) begun.push(work());
    else await pause(1);
  }
  await Promise.all(begun);
}

/** Instants of the monotonic clock, in ms. */
interface Sample {
  readonly askedAt: number;
  readonly acceptedAt: number;
  readonly completedAt: number;
}

/** One connection, and the turns it waits for. */
class Caller {
  private readonly waiting = new Map<string, () => void>();
  /** Ends that were told of before the answer was there. */
  private readonly early = new Set<string>();

  private constructor(
    private readonly client: TyrumClient,
    private readonly target: string,
  ) {
    client.on('turn.completed', ({ payload: { turn_id } }) => {
      const end = this.waiting.get(turn_id);
      if (end) end();
      else this.early.add(turn_id);
    });
    client.on('turn.failed', ({ payload: { turn_id } }) => {
      throw new Error(`turn ${turn_id} failed`);
    });
  }

  static async connect(url: string, token: string, target: string): Promise<Caller> {
    const identity = await createDeviceIdentity();
    const client = new TyrumClient({ url, token, identity, WebSocket: WebSocket as unknown as WebSocketConstructor });
    await client.connect();
    return new Caller(client, target);
  }

  async run(conversationKey: string): Promise<Sample> {
    const askedAt = performance.now();
    const options = { requestId: randomUUID(), timeoutMs: TURN_TIMEOUT_MS };
    const step = { type: 'Http' as const, args: { method: 'GET', url: this.target } };
    const payload = { conversation_key: conversationKey, steps: [step] };
    const { workflow_run_id: turnId } = await this.client.request('workflow.start', payload, options);
    const acceptedAt = performance.now();
    if (!this.early.delete(turnId)) await new Promise<void>((resolve) => this.waiting.set(turnId, resolve));
    this.waiting.delete(turnId);
    return { askedAt, acceptedAt, completedAt: performance.now() };
  }

  close(): void {
    this.client.close();
  }
}
