import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { countersOf, FILES, type Counters } from './checker';
import { Cluster } from './cluster';
import { EdgeClient } from './edge-client';
import { readFinalState } from './final-state';
import { HistoryWriter, parseLines, type Fact } from './history';
import { NEMESES, type Nemesis } from './nemeses';
import type { SeededOptions } from './options';
import type { Profile } from './profiles';
import { Random } from './random';
import { waitForRest } from './rest';
import { Subscriber } from './subscriber';
import { Workload } from './workload';

export interface RunOptions extends SeededOptions {
  readonly profile: Profile;
  /** Where the files go; exists and is empty. */
  readonly folder: string;
  readonly onProgress: (line: string) => void;
}

const SAMPLE_MS = 250;
/** What a bound may be missed by on a machine that is busy with six processes, their tools and a database. */
const GRACE_MS = 1_500;

/**
 * What a run is given once more when it has not seen it by its end: whether a write is under way when its worker is stopped is
 * luck, and a run without a refused write proves nothing about refusing them.
 */
const MAKES_UP: readonly (readonly [keyof Counters, Readonly<Record<'sqlite' | 'postgres', string>>])[] = [
  ['fencedWrites', { sqlite: 'late_write', postgres: 'late_write' }],
  ['unknownCommits', { sqlite: 'answer_lost', postgres: 'commit_cut' }],
];
/** A round is up to 12 s. */
const MAKE_UP_ROUNDS = 5;

/** Runs one seed to its end and leaves the files for the checker. @throws only when the run itself could not be made */
export async function runChaos(options: RunOptions): Promise<void> {
  const { seed, profile, profileName, store, folder } = options;
  const random = new Random(seed);
  const backplane = store === 'sqlite' ? 'local' : random.pick(['redis', 'redis', 'postgres'] as const);
  const history = new HistoryWriter(join(folder, FILES.history));
  writeFileSync(join(folder, FILES.effects), '');
  const { ttlMs } = profile;
  history.write({ kind: 'run', seed, profile: profileName, store, backplane, ttlMs, graceMs: GRACE_MS });
  const cluster = await Cluster.start({ store, backplane, folder, ttlMs, blockMs: ttlMs * 1.6, history });
  const run = new Run(options, cluster, history, random);
  try {
    await run.perform();
  } finally {
    await run.stopBackground();
    await cluster.stop();
    history.close();
  }
}

class Run {
  private current = 'starting';
  private faults = 0;
  private readonly startedAt = performance.now();
  private readonly stopped = new AbortController();
  private readonly background: Promise<void>[] = [];

  constructor(
    private readonly options: RunOptions,
    private readonly cluster: Cluster,
    private readonly history: HistoryWriter,
    private readonly random: Random,
  ) {}

  async stopBackground(): Promise<void> {
    this.stopped.abort();
    await Promise.all(this.background);
  }

  async perform(): Promise<void> {
    const { profile, folder, store } = this.options;
    const { cluster, history } = this;
    const { token } = cluster;
    const ports = cluster.slotsOf('edge').flatMap((slot) => slot.options.door?.port ?? []);
    const edge = new EdgeClient(ports, token);
    const subscribers = await Promise.all(
      ports.map((port, i) => Subscriber.connect(`subscriber-${i + 1}`, { port, token, history })),
    );
    const workload = new Workload({
      edge,
      view: cluster.view,
      history,
      random: this.random.fork(),
      ledger: join(folder, FILES.effects),
      conversations: profile.conversations,
      patienceMs: profile.settleMs,
    });
    const { signal } = this.stopped;
    this.background.push(this.sampleLeases(signal), this.report(signal), workload.operate(signal));
    history.write({ kind: 'phase', name: 'load' });
    await workload.start({ crashes: true });
    await this.strike(performance.now() + profile.loadMs);
    if (!this.options.faults) await this.makeUp();
    history.write({ kind: 'phase', name: 'settle' });
    this.current = 'waiting for everything to come to rest';
    const settledBy = performance.now() + profile.settleMs;
    await workload.stop();
    await workload.removeSchedules();
    const problems = await waitForRest(cluster.view, subscribers, settledBy);
    this.current = 'stopping';
    history.write({ kind: 'phase', name: 'stop' });
    for (const subscriber of subscribers) subscriber.close();
    await this.stopBackground();
    const final = await readFinalState(cluster.view, store);
    writeFileSync(join(folder, FILES.final), JSON.stringify(final));
    history.write({ kind: 'rest', problems: [...problems, ...(await cluster.stopApps())] });
  }

  /** One fault after the other, each kind once before any comes again. */
  private async strike(until: number): Promise<void> {
    const { profile, faults } = this.options;
    const usable = NEMESES.filter(({ name, applies }) => applies(this.cluster) && (faults?.includes(name) ?? true));
    const first = usable.filter(({ essential }) => essential);
    const rest = usable.filter(({ essential }) => !essential);
    const all = profile.essentialOnly && !faults ? first : usable;
    // The first round begins with those that a run must have seen.
    const bag = [...this.random.shuffled(first), ...(all === first ? [] : this.random.shuffled(rest))];
    // Afterwards they come more often than the others: what they provoke needs some luck.
    const round = [...all, ...all.filter(({ essential }) => essential)];
    while (performance.now() < until) {
      const nemesis = bag.shift();
      if (!nemesis) {
        bag.push(...this.random.shuffled(round));
        continue;
      }
      await this.strikeWith(nemesis);
    }
  }

  private async strikeWith(nemesis: Nemesis): Promise<void> {
    this.current = 'calm';
    await pause(this.random.between(...this.options.profile.calmMs));
    const target = nemesis.target(this.cluster, this.random);
    const about = { kind: 'fault', id: (this.faults += 1), name: nemesis.name, target } as const;
    this.current = `${nemesis.name} → ${target}`;
    this.history.write({ ...about, state: 'begin' });
    await nemesis.strike(this.cluster, target, this.random.fork());
    this.history.write({ ...about, state: 'end' });
  }

  private async makeUp(): Promise<void> {
    const { store, folder } = this.options;
    for (let round = 0; round < MAKE_UP_ROUNDS; round += 1) {
      const facts = parseLines<Fact>(readFileSync(join(folder, FILES.history), 'utf8'));
      const final = { turns: [], outbox: [], firings: [], takeovers: [] };
      const counters = countersOf({ facts, effects: [], final });
      const missing = MAKES_UP.filter(([name]) => counters[name] === 0).map(([, fault]) => fault[store]);
      if (missing.length === 0) return;
      for (const nemesis of NEMESES.filter(({ name }) => missing.includes(name))) await this.strikeWith(nemesis);
    }
  }

  private async sampleLeases(signal: AbortSignal): Promise<void> {
    interface Row {
      conversation_key: string;
      lease_owner: string;
      lease_token: number | string;
      due_at: number | string;
    }
    const sql = `select conversation_key, lease_owner, lease_token, due_at from conversation_queue where state = 'leased'`;
    while (!signal.aborted) {
      for (const slot of this.cluster.slots) slot.readLogs();
      // The database is away for a moment now and then; a sample less is no harm.
      const rows = await this.cluster.view.query<Row>(sql).catch((): Row[] => []);
      for (const row of rows) {
        this.history.write({
          kind: 'lease',
          conversation: row.conversation_key,
          owner: row.lease_owner,
          token: Number(row.lease_token),
          dueAt: Number(row.due_at),
        });
      }
      await pause(SAMPLE_MS);
    }
  }

  private async report(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { counts } = this.history;
      const seconds = Math.round((performance.now() - this.startedAt) / 1_000);
      const figures = ['send', 'answer', 'event', 'process', 'commit_cut', 'resolve']
        .map((kind) => `${kind} ${counts.get(kind) ?? 0}`)
        .join(' · ');
      this.options.onProgress(`${seconds} s · fault ${this.faults} · ${figures} · ${this.current}`);
      await pause(500);
    }
  }
}
