import type { ContenderDatabase } from './contender';
import type { Assignment } from './drivers/driver';

export type Params = Assignment['params'];

/** One number of a case that is reported. */
export interface Metric {
  /** As the driver names it. */
  readonly name: string;
  readonly label: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  /** What Tyrum promises. */
  readonly target?: number;
  /** The promise is that many times what this contender measures in the same run. */
  readonly targetOf?: { readonly contender: string; readonly times: number };
}

/** One measurement, made with each of its contenders. */
export interface Case {
  readonly workload: string;
  /** `{name}` stands for a parameter of the run. */
  readonly title: string;
  /**
   * `bare`: the statements alone, in batches made beforehand; `full`: through the public calls, one a turn. A bare number is
   * never put beside a peer's full one.
   */
  readonly kind: 'full' | 'bare';
  readonly driver: string;
  readonly database: ContenderDatabase['kind'];
  readonly params: Params;
  /** Over `params` with `--quick`; absent: not then. */
  readonly quick?: Params;
  /** How much of `jobs` and `warmup` those get who would need minutes for all. A rate does not depend on it. */
  readonly share?: Readonly<Record<string, number>>;
  readonly metrics: readonly Metric[];
  readonly peers: readonly string[];
  /** Rounds, where the default is too many for a run so long. */
  readonly rounds?: number;
}

const rate = (target?: number, unit = 'turns/s'): Metric => ({
  name: 'rate',
  label: 'rate',
  unit,
  better: 'higher',
  ...(target === undefined ? {} : { target }),
});
const ms = (name: string, label: string, target?: number): Metric => ({
  name,
  label,
  unit: 'ms',
  better: 'lower',
  ...(target === undefined ? {} : { target }),
});
/** What the processor spends on it in the processes that are measured; it hardly depends on what else the machine does. */
const cpuTime = (name: string, label: string): Metric => ({ name, label, unit: 'µs', better: 'lower' });
const none = (name: string, label: string): Metric => ({ name, label, unit: '', better: 'lower', target: 0 });

const ACCEPT = { conversations: 1_000, warmupMs: 3_000, durationMs: 5_000 };
const ACCEPT_QUICK = { warmupMs: 300, durationMs: 1_000 };
const IDLE = { samples: 200, warmup: 1_000, warmupMs: 4_000 };
const IDLE_QUICK = { samples: 40, warmup: 100, warmupMs: 500 };
const SOCKET_TURNS = { inFlight: 128, warmupMs: 8_000, durationMs: 8_000, conversations: 200 };
const SOCKET_TURNS_QUICK = { warmupMs: 1_000, durationMs: 2_000 };
const SOCKET_TURNS_CPU = [
  cpuTime('edge_us', 'the edge’s time a turn'),
  cpuTime('worker_us', 'the worker’s time a turn'),
];
const ONCE_EACH = none('ran_twice', 'ran twice');
const HOT_WAIT: Metric = {
  name: 'hot_wait_share',
  label: 'busiest key: p99 wait for its next turn, of mean × keys',
  unit: '×',
  better: 'lower',
  target: 1,
};
const QUEUES = ['pg-boss', 'graphile-worker', 'bullmq', 'dbos'];

function acceptCase(inFlight: number, target: number): Case {
  return {
    workload: 'W1',
    title: `accept, ${inFlight} in flight`,
    kind: 'full',
    driver: 'accept',
    database: 'postgres',
    params: { ...ACCEPT, inFlight },
    quick: ACCEPT_QUICK,
    metrics: [rate(target, 'accepts/s'), ms('p50', 'p50'), ms('p99', 'p99')],
    peers: QUEUES,
  };
}

function keyedCase(keys: number, spread: 'uniform' | 'zipf'): Case {
  return {
    workload: 'W5',
    title: `keyed FIFO, ${keys} keys, ${spread}`,
    kind: 'full',
    driver: 'keyed',
    database: 'postgres',
    params: { jobs: 20_000, warmup: 10_000, keys, spread, concurrency: 200 },
    quick: { jobs: 3_000, warmup: 0 },
    metrics: [
      rate(15_000),
      // Even keys are in step with each other; what a busy one waits for says something only where keys differ.
      ...(spread === 'zipf' ? [HOT_WAIT] : []),
      none('out_of_order', 'out of order'),
      ONCE_EACH,
    ],
    peers: keys === 100 && spread === 'uniform' ? ['pg-boss', 'graphile-worker', 'dbos'] : [],
    share: { 'graphile-worker': 0.25, dbos: 0.15 },
  };
}

function rawInsertsCase(connections: number, batch: number): Case {
  return {
    workload: 'W1',
    title: batch === 1 ? `raw inserts, one a commit, ${connections} connections` : `raw inserts, ${batch} a commit`,
    kind: 'bare',
    driver: 'rawInserts',
    database: 'postgres',
    params: { connections, batch, durationMs: 4_000 },
    quick: { durationMs: 1_000 },
    metrics: [rate(undefined, 'rows/s')],
    peers: [],
  };
}

function bareIdleCase(how: string, params: Params): Case {
  return {
    workload: 'W4',
    title: `${how}: a row inserted, announced, and taken in another process`,
    kind: 'bare',
    driver: 'bareIdle',
    database: 'postgres',
    params: { ...IDLE, ...params },
    metrics: [ms('p50', 'p50'), ms('p99', 'p99')],
    peers: [],
  };
}

/** Everything that is measured, in the order of the report. */
export const CASES: readonly Case[] = [
  acceptCase(16, 8_000),
  acceptCase(64, 14_000),
  {
    workload: 'W3',
    title: 'drain of no-op turns',
    kind: 'full',
    driver: 'drain',
    database: 'postgres',
    params: { jobs: 20_000, warmup: 10_000, keys: 3_000, spread: 'uniform', concurrency: 200 },
    quick: { jobs: 4_000, warmup: 0, keys: 400 },
    metrics: [rate(20_000), ONCE_EACH],
    peers: [],
  },
  {
    workload: 'W3',
    title: 'drain of no-op turns, each a conversation of its own',
    kind: 'full',
    driver: 'drain',
    database: 'postgres',
    params: { jobs: 20_000, warmup: 10_000, keys: 1, spread: 'none', concurrency: 200 },
    quick: { jobs: 3_000, warmup: 0 },
    metrics: [rate(20_000), ONCE_EACH],
    peers: QUEUES,
    share: { dbos: 0.15 },
  },
  {
    workload: 'W4',
    title: 'idle: accept → handler in another process',
    kind: 'full',
    driver: 'idle',
    database: 'postgres',
    params: IDLE,
    quick: IDLE_QUICK,
    metrics: [ms('p50', 'p50', 3), ms('p99', 'p99', 10)],
    peers: QUEUES,
  },
  {
    workload: 'W4',
    title: 'idle: accept → handler in the same process',
    kind: 'full',
    driver: 'idleInProcess',
    database: 'postgres',
    params: IDLE,
    quick: IDLE_QUICK,
    metrics: [ms('p50', 'p50', 3), ms('p99', 'p99', 10)],
    peers: [],
  },
  keyedCase(100, 'uniform'),
  keyedCase(1_000, 'uniform'),
  keyedCase(1_000, 'zipf'),
  {
    workload: 'W6',
    title: 'turn with 3 checkpointed steps',
    kind: 'full',
    driver: 'steps',
    database: 'postgres',
    params: { jobs: 9_000, warmup: 3_000, keys: 1_200, spread: 'uniform', steps: 3, concurrency: 100 },
    quick: { jobs: 1_500, warmup: 0, keys: 150 },
    metrics: [rate(3_000), ms('turn_p50', 'turn p50'), ms('turn_p99', 'turn p99', 50), ONCE_EACH],
    peers: ['dbos', 'openworkflow'],
    share: { dbos: 0.2, openworkflow: 0.4 },
  },
  {
    workload: 'W7',
    title: 'worker killed, or stopped for {pauseMs} ms (TTL 3 s)',
    kind: 'full',
    driver: 'takeover',
    database: 'postgres',
    params: { kills: 4, pauseMs: 60_000, ttlMs: 3_000 },
    quick: { kills: 1, pauseMs: 5_000 },
    metrics: [
      ms('takeover_p99', 'takeover p99', 4_500),
      none('early', 'taken over early'),
      none('lost', 'lost'),
      none('duplicated', 'ended twice'),
      none('stale_writes', 'stale writes applied'),
      { name: 'refused', label: 'leases lost and writes refused', unit: '', better: 'higher', target: 1 },
      { name: 'taken_over', label: 'turns taken over', unit: '', better: 'higher', target: 1 },
    ],
    peers: [],
    rounds: 1,
  },
  {
    workload: 'W8',
    title: 'WebSocket: workflow.start → turn.completed, {perSecond} turns/s',
    kind: 'full',
    driver: 'socketTurns',
    database: 'postgres',
    params: { apps: 'edge,worker', perSecond: 200, warmupMs: 8_000, durationMs: 10_000, conversations: 200 },
    quick: { warmupMs: 1_000, durationMs: 2_000 },
    metrics: [ms('p50', 'p50', 6), ms('p99', 'p99', 25), ms('accepted_p50', 'accepted p50')],
    peers: [],
  },
  {
    workload: 'W8',
    title: 'WebSocket: workflow.start → turn.completed, {inFlight} in flight',
    kind: 'full',
    driver: 'socketTurns',
    database: 'postgres',
    params: { apps: 'edge,worker', ...SOCKET_TURNS },
    quick: SOCKET_TURNS_QUICK,
    metrics: [rate(3_000), ms('p50', 'p50'), ms('p99', 'p99'), ...SOCKET_TURNS_CPU],
    peers: [],
  },
  {
    workload: 'W9',
    title: 'fan-out of one event to {sockets} sockets of two processes',
    kind: 'full',
    driver: 'fanOut',
    database: 'postgres',
    params: { apps: 'edge', sockets: 5_000, paced: 30, burst: 60 },
    quick: { sockets: 1_000, paced: 10, burst: 30 },
    metrics: [
      { ...rate(undefined, 'deliveries/s'), targetOf: { contender: 'ws', times: 0.8 } },
      ms('p50', 'p50'),
      { ...ms('p99', 'p99'), targetOf: { contender: 'ws', times: 1.2 } },
      cpuTime('cpu_us', 'both processes’ time a delivery'),
    ],
    peers: ['ws', 'socket.io'],
  },
  {
    workload: 'W10',
    title: 'shell step through the ToolRunner',
    kind: 'full',
    driver: 'shell',
    database: 'postgres',
    params: { jobs: 500, samples: 100, concurrency: 50 },
    quick: { jobs: 150, samples: 30 },
    metrics: [
      rate(100, 'steps/s'),
      ms('overhead', 'over spawning the command', 10),
      ms('spawn_ms', 'spawning it alone'),
    ],
    peers: [],
  },
  {
    workload: 'W11',
    title: 'growth: {stored} stored turns against 1,000',
    kind: 'full',
    driver: 'growth',
    database: 'postgres',
    params: { stored: 1_000_000, jobs: 5_000 },
    quick: { stored: 50_000, jobs: 1_000 },
    metrics: [
      { name: 'accept_growth', label: 'accept', unit: '×', better: 'lower', target: 1.3 },
      { name: 'run_growth', label: 'claim and settle', unit: '×', better: 'lower', target: 1.3 },
      { name: 'outbox_growth', label: 'outbox read', unit: '×', better: 'lower', target: 1.3 },
    ],
    peers: [],
    rounds: 1,
  },
  ...(['worker', 'edge'] as const).map((app): Case => ({
    workload: 'W12',
    title: `idle ${app}`,
    kind: 'full',
    driver: 'idleProcess',
    database: 'postgres',
    params: { app, durationMs: 50_000 },
    ...(app === 'worker' ? { quick: { durationMs: 4_000 } } : {}),
    metrics: [
      { name: 'queries', label: 'queries', unit: '/s', better: 'lower', target: 1 },
      { name: 'rss', label: 'memory', unit: 'MiB', better: 'lower', ...(app === 'worker' ? { target: 90 } : {}) },
    ],
    peers: [],
    rounds: 1,
  })),
  {
    workload: 'W13',
    title: 'SQLite: accept, 64 in flight',
    kind: 'full',
    driver: 'accept',
    database: 'sqlite',
    params: { ...ACCEPT, inFlight: 64 },
    quick: ACCEPT_QUICK,
    metrics: [rate(5_000, 'accepts/s'), ms('p99', 'p99')],
    peers: ['openworkflow'],
  },
  {
    workload: 'W13',
    title: 'SQLite: full turns, 64 callers that wait for their end',
    kind: 'full',
    driver: 'fullTurn',
    database: 'sqlite',
    params: { ...ACCEPT, inFlight: 64, concurrency: 50 },
    quick: ACCEPT_QUICK,
    metrics: [rate(3_000), ms('p99', 'p99'), ms('loop_delay_p99', 'event loop delay p99', 20)],
    peers: [],
  },
  rawInsertsCase(16, 1),
  rawInsertsCase(64, 1),
  rawInsertsCase(1, 100),
  {
    workload: 'W1',
    title: 'accept statements, 100 a commit',
    kind: 'bare',
    driver: 'bareAccept',
    database: 'postgres',
    params: { batch: 100, conversations: 1_000, durationMs: 4_000 },
    quick: { durationMs: 1_000 },
    metrics: [rate()],
    peers: [],
  },
  {
    workload: 'W3',
    title: 'claim, load and settle statements, 50 conversations a commit',
    kind: 'bare',
    driver: 'bareDrain',
    database: 'postgres',
    params: { jobs: 20_000, keys: 1_000, claim: 50, turnsEach: 20 },
    quick: { jobs: 4_000, keys: 200 },
    metrics: [rate()],
    peers: [],
  },
  bareIdleCase('idle', {}),
  bareIdleCase('without pauses', { withoutPauses: 1 }),
  {
    workload: 'W8',
    title: '{inFlight} in flight through an edge and a worker that keep nothing',
    kind: 'bare',
    driver: 'bareSocketTurns',
    database: 'postgres',
    params: SOCKET_TURNS,
    quick: SOCKET_TURNS_QUICK,
    metrics: [rate(), ms('p50', 'p50'), ms('p99', 'p99'), ...SOCKET_TURNS_CPU],
    peers: [],
  },
];

export interface Selection {
  readonly quick: boolean;
  readonly only: readonly string[] | undefined;
  readonly ours: boolean;
}

/** The cases of one run, with the parameters of this run in place. */
export function select({ quick, only, ours }: Selection): Case[] {
  return CASES.filter(({ workload, quick: small }) => (!only || only.includes(workload)) && (!quick || small)).map(
    (each) => {
      const params = quick ? { ...each.params, ...each.quick } : each.params;
      const title = each.title.replace(
        /\{(\w+)\}/g,
        (_, name: string) => params[name]?.toLocaleString('en-US') ?? name,
      );
      return { ...each, title, params, peers: ours ? [] : each.peers };
    },
  );
}

/** A case's parameters for one contender. */
export function paramsFor({ params, share }: Case, contender: string): Params {
  const part = share?.[contender] ?? 1;
  const shared = ['jobs', 'warmup'].filter((name) => name in params);
  return { ...params, ...Object.fromEntries(shared.map((name) => [name, Math.ceil(Number(params[name]) * part)])) };
}

/** The workloads there are. */
export const WORKLOADS: readonly string[] = [...new Set(CASES.map(({ workload }) => workload))];
