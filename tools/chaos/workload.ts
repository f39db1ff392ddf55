import { setTimeout as pause } from 'node:timers/promises';
import type { DatabaseView } from './database';
import type { EdgeClient } from './edge-client';
import type { Effect, HistoryWriter } from './history';
import { effectAction, type CrashPoint, type EffectStep } from './ledger';
import type { Random } from './random';

export interface WorkloadOptions {
  readonly edge: EdgeClient;
  readonly view: DatabaseView;
  readonly history: HistoryWriter;
  readonly random: Random;
  readonly ledger: string;
  readonly conversations: number;
  /** A request gets no answer for longer than this only when something is broken, in ms. */
  readonly patienceMs: number;
}

interface OpPlan {
  readonly name: string;
  readonly conversation: string;
  readonly steps: readonly EffectStep[];
  readonly copies: number;
  readonly sendsChanged: boolean;
  readonly cancelled: boolean;
}

const EFFECTS: readonly Effect[] = ['once', 'once', 'idempotent', 'idempotent', 'read'];
const CRASHES: readonly CrashPoint[] = ['before', 'in', 'after'];
/** Of the steps: enough crashes to matter, few enough that work gets done in between. */
const CRASH_SHARE = 0.01;
const PAUSE_AFTER_OP_MS = [100, 500] as const;
/** Turns a client has open at the most: a queue that only grows would be worked off long after the faults. */
const MAX_OPEN = 3;
const LOOK_MS = 250;

/** Clients that send seeded requests, an operator who settles what is in doubt, and two schedules. */
export class Workload {
  private stopping = false;
  private requests = 0;
  private readonly schedules: { id: string; conversation: string; intervalMs: number; firstAt: number }[] = [];
  private running: Promise<unknown> = Promise.resolve();
  private open = new Map<string, number>();

  constructor(private readonly options: WorkloadOptions) {}

  /** @param crashes whether steps may kill their workers */
  async start({ crashes }: { crashes: boolean }): Promise<void> {
    await this.createSchedules();
    const clients = Array.from({ length: this.options.conversations }, (_, i) =>
      this.client(i, this.options.random.fork(), crashes ? CRASH_SHARE : 0),
    );
    this.running = Promise.all([...clients, this.countOpenTurns()]);
  }

  /** Sends nothing new, and resolves when everything sent has its answer. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
  }

  /** Decides about turns of unknown outcome until told to stop. */
  async operate(signal: AbortSignal): Promise<void> {
    const random = this.options.random.fork();
    while (!signal.aborted) {
      await pause(500);
      const { status, body } = await this.options.edge.call('GET', '/v1/turns?status=paused&limit=100');
      if (status !== 200) continue;
      const turns = body['turns'] as { turn: { turn_id: string; blocked_reason?: string } }[];
      for (const { turn_id, blocked_reason } of turns.map((entry) => entry.turn ?? entry)) {
        if (blocked_reason !== 'manual') continue;
        const decision = random.pick(['done', 'done', 'retry', 'fail'] as const);
        // Written before it is asked for: the answer may be lost, and the step may run again all the same.
        this.options.history.write({ kind: 'resolve', turn: turn_id, decision });
        await this.options.edge.call('POST', `/v1/turns/${turn_id}/resolve`, { decision });
      }
    }
  }

  /** Ends the schedules, and notes which instants have to have gone off. */
  async removeSchedules(): Promise<void> {
    for (const { id, conversation, intervalMs, firstAt } of this.schedules) {
      const [row] = await this.options.view.query<{ next_fire_at: number | string }>(
        `select next_fire_at from schedule where schedule_id = '${id}'`,
      );
      const untilAt = Number(row?.next_fire_at ?? firstAt) - intervalMs;
      this.options.history.write({ kind: 'schedule', schedule: id, conversation, intervalMs, firstAt, untilAt });
      await this.insist(() => this.options.edge.call('DELETE', `/v1/schedules/${id}`));
    }
  }

  private async createSchedules(): Promise<void> {
    for (const [i, cadence] of [
      { type: 'interval', interval_ms: 2_000 },
      { type: 'cron', expression: '*/3 * * * * *', timezone: 'UTC' },
    ].entries()) {
      const conversation = `agent:default:tick:dm:schedule-${i}`;
      const step = { effect: 'idempotent', pauseMs: 0, crash: 'none' } as const;
      const steps = [effectAction(this.options.ledger, { name: conversation, conversation }, 0, step)];
      const { status, body, text } = await this.options.edge.call('POST', '/v1/schedules', {
        kind: i === 0 ? 'heartbeat' : 'cron',
        cadence,
        execution: { kind: 'steps', conversation_key: conversation, steps },
      });
      if (status !== 201) throw new Error(`a schedule was not accepted: ${status} ${text}`);
      const id = String(body['schedule_id']);
      const firstAt = Date.parse(String(body['next_fire_at']));
      this.schedules.push({ id, conversation, intervalMs: i === 0 ? 2_000 : 3_000, firstAt });
    }
  }

  private async client(index: number, random: Random, crashShare: number): Promise<void> {
    const conversation = `agent:default:chaos:dm:peer-${index}`;
    for (let i = 0; !this.stopping; i += 1) {
      while (!this.stopping && (this.open.get(conversation) ?? 0) >= MAX_OPEN) await pause(LOOK_MS);
      if (this.stopping) return;
      const op = plan(`op-${index}-${i}`, conversation, random, crashShare);
      await this.perform(op);
      await pause(random.between(...PAUSE_AFTER_OP_MS));
    }
  }

  private async countOpenTurns(): Promise<void> {
    const sql = `select conversation_key, count(*) as turns from turn
      where status in ('queued', 'running', 'paused') group by conversation_key`;
    while (!this.stopping) {
      // When the database is away nothing is worked off either: what was last counted still stands.
      const rows = await this.options.view
        .query<{ conversation_key: string; turns: number | string }>(sql)
        .catch(() => undefined);
      if (rows) this.open = new Map(rows.map((row) => [row.conversation_key, Number(row.turns)]));
      await pause(LOOK_MS);
    }
  }

  private async perform(op: OpPlan): Promise<void> {
    const answers = await Promise.all(
      Array.from({ length: op.copies }, () => this.insist(() => this.send(op, 'original'))),
    );
    const accepted = answers.find(({ status }) => status === 202);
    if (!accepted) return;
    if (op.sendsChanged) await this.send(op, 'changed');
    if (op.cancelled)
      await this.options.edge.call('POST', `/v1/turns/${String(accepted.body['workflow_run_id'])}/cancel`);
  }

  private async send(op: OpPlan, payload: 'original' | 'changed') {
    const { edge, history, ledger } = this.options;
    const request = (this.requests += 1);
    const steps = op.steps.map((step, i) => effectAction(ledger, op, i, step));
    const body = { conversation_key: op.conversation, steps, ...(payload === 'changed' ? { plan_id: 'changed' } : {}) };
    const about = { request, op: op.name } as const;
    history.write({
      kind: 'send',
      ...about,
      key: op.name,
      payload,
      conversation: op.conversation,
      steps: op.steps.map(({ effect }) => effect),
    });
    const answer = await edge.call('POST', '/v1/workflows', body, op.name);
    const turn = answer.body['workflow_run_id'];
    history.write({
      kind: 'answer',
      ...about,
      status: answer.status,
      ...(typeof turn === 'string' ? { turn } : {}),
      ...(answer.replayed ? { replayed: true } : {}),
      ...(answer.status !== 202 ? { text: answer.text.slice(0, 300) } : {}),
    });
    return answer;
  }

  private insist(ask: () => ReturnType<EdgeClient['call']>) {
    return this.options.edge.insist(ask, performance.now() + this.options.patienceMs);
  }
}

function plan(name: string, conversation: string, random: Random, crashShare: number): OpPlan {
  const steps = Array.from({ length: random.between(1, 3) }, (): EffectStep => {
    const crash = random.chance(crashShare) ? random.pick(CRASHES) : 'none';
    return { effect: random.pick(EFFECTS), pauseMs: random.between(0, 300), crash };
  });
  return {
    name,
    conversation,
    steps,
    copies: random.chance(0.2) ? 3 : 1,
    sendsChanged: random.chance(0.1),
    cancelled: random.chance(0.06),
  };
}
