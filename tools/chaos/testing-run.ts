import type { RunFiles } from './checks/run-files';
import type { Effect, Fact, FinalEvent, FinalState, FinalTurn, NewFact } from './history';
import type { EffectLine } from './ledger';

/**
 * A small history by hand, for the checker's tests: a good one, unless a test makes it a bad one. Times are in ms from 0; the
 * TTL is 1,000 ms.
 */
export class HandMadeRun {
  readonly facts: Fact[] = [];
  readonly effects: EffectLine[] = [];
  readonly turns: FinalTurn[] = [];
  readonly outbox: FinalEvent[] = [];
  final: Partial<FinalState> = {};
  private requests = 0;

  constructor(store: 'sqlite' | 'postgres' = 'sqlite', backplane = 'local') {
    this.fact({ kind: 'run', seed: 1, profile: 'smoke', store, backplane, ttlMs: 1_000, graceMs: 0 });
  }

  fact(fact: NewFact, at = 0): this {
    this.facts.push({ ...fact, at });
    return this;
  }

  /** A request and its answer; `status` 202 unless told otherwise. */
  request(
    op: string,
    answer: Partial<Extract<Fact, { kind: 'answer' }>> = {},
    payload: 'original' | 'changed' = 'original',
  ) {
    const request = (this.requests += 1);
    this.fact({ kind: 'send', request, op, key: op, payload, conversation: 'c', steps: ['once'] });
    return this.fact({ kind: 'answer', request, op, status: 202, turn: `turn-${op}`, ...answer });
  }

  /** A turn that came to its end, with its events. */
  turn(op: string, options: Partial<FinalTurn> = {}): this {
    const turn = `turn-${op}`;
    const one: FinalTurn = {
      turn,
      op,
      conversation: 'c',
      trigger: 'workflow',
      status: 'succeeded',
      createdAt: 0,
      startedAt: 0,
      finishedAt: 0,
      steps: [{ step: 0, effect: 'once', status: 'succeeded' }],
      ...options,
    };
    this.turns.push(one);
    this.event('turn.queued', one.turn, one.conversation);
    if (one.status === 'succeeded') this.event('turn.completed', one.turn, one.conversation);
    if (one.status === 'failed') this.event('turn.failed', one.turn, one.conversation);
    return this;
  }

  event(type: string, turn: string | null = null, conversation = 'c', seq?: number): this {
    const before = this.outbox.filter((event) => event.conversation === conversation).length;
    this.outbox.push({ event: `event-${this.outbox.length + 1}`, type, conversation, seq: seq ?? before + 1, turn });
    return this;
  }

  /** One line of the ledger. */
  effect(mark: EffectLine['mark'], op: string, options: Partial<EffectLine> = {}): this {
    const step = options.step ?? 0;
    this.effects.push({
      at: this.effects.length,
      mark,
      run: `${op}-${step}`,
      op,
      step,
      effect: 'once' as Effect,
      conversation: 'c',
      turn: `turn-${op}`,
      key: `key-${op}-${step}`,
      token: 1,
      ...options,
    });
    return this;
  }

  /** Request, turn and effect of an op that went well. */
  done(op: string): this {
    return this.request(op).turn(op).effect('begin', op).effect('end', op);
  }

  /** Every event to a subscriber, in order. */
  delivered(subscriber: string, events: readonly string[] = this.outbox.map(({ event }) => event)): this {
    for (const event of events) this.fact({ kind: 'event', subscriber, event, type: 'x' });
    return this;
  }

  files(): RunFiles {
    return {
      facts: this.facts,
      effects: this.effects,
      final: { turns: this.turns, outbox: this.outbox, firings: [], takeovers: [], integrity: 'ok', ...this.final },
    };
  }
}
