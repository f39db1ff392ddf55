import type { Model } from '@tyrum/statestore/testing';
import {
  CONVERSATIONS,
  isEnded,
  newTurn,
  type Key,
  type ModelArrival,
  type ModelConversation,
  type ModelTurn,
  type Owner,
} from './model-turns';
import { ModelRun } from './model-run';

export interface Submission {
  readonly key: Key;
  /** The idempotency key; undefined: one that nobody used. */
  readonly request: number | undefined;
  readonly kind: ModelTurn['kind'];
  readonly plan: ModelTurn['plan'];
}

/**
 * What turns are, without a database: conversations with a lease each, their turns in order, and whoever changes them from
 * outside. How one lease holder goes on is in `ModelRun`.
 */
export class TurnModel implements Model {
  readonly turns: ModelTurn[] = [];
  readonly arrivals = new Map<string, ModelArrival>();
  readonly conversations = new Map<Key, ModelConversation>();
  fenced = 0;
  private runs: ModelRun[] = [];
  private readonly requests = new Map<number, { readonly asked: string; readonly turn: number }>();

  constructor() {
    for (const key of CONVERSATIONS) {
      const nobody = { owner: null, token: 0, takeovers: 0 };
      const queue = { mode: 'followup', cap: null, overflow: 'reject' } as const;
      this.conversations.set(key, { key, state: 'idle', due: false, ...nobody, ...queue, events: [] });
    }
  }

  seen(): unknown {
    return {
      conversations: [...this.conversations.values()].map(({ events, due, ...rest }) => ({
        ...rest,
        due: rest.state === 'ready' || rest.state === 'leased' ? due : null,
        pending: this.turns.filter(({ key, status }) => key === rest.key && status === 'queued').length,
        events,
      })),
      turns: this.turns.map((turn) => ({
        name: turn.name,
        status: turn.status,
        attempt: turn.attempt,
        steps: turn.steps.map(({ does, status, attempts }) => `${does} ${status} ${attempts}`),
        wait:
          turn.wait &&
          `${turn.wait.kind} ${turn.wait.kind === 'signal' || turn.wait.kind === 'turn' ? turn.wait.id : ''}`,
        cancelRequested: turn.cancelRequested,
        delivered: turn.deliveredTo ? [turn.deliveredTo.name, turn.deliveredStep] : null,
        origin: turn.origin?.name ?? null,
        dead: turn.dead ?? null,
      })),
      arrivals: [...this.arrivals]
        .map(([id, { waiter, arrived }]) => ({ id, waiter: waiter?.name ?? null, arrived: arrived ?? null }))
        .sort((a, b) => a.id.localeCompare(b.id)),
      runs: this.runs.filter(({ over }) => !over).map((run) => run.seen()),
      fenced: this.fenced,
      changedKeys: [],
    };
  }

  conversation(key: Key): ModelConversation {
    const conversation = this.conversations.get(key);
    if (!conversation) throw new Error('the conversations are there from the beginning');
    return conversation;
  }

  open(key: Key): ModelTurn[] {
    return this.turns.filter((turn) => turn.key === key && !isEnded(turn));
  }

  tell(turn: ModelTurn, type: string): void {
    this.conversation(turn.key).events.push(`${turn.name} ${type}`);
  }

  /** Accepts a turn, or says why not. */
  submit({ key, request, kind, plan }: Submission): string {
    const asked = JSON.stringify([key, kind, plan]);
    const known = request === undefined ? undefined : this.requests.get(request);
    if (known) return known.asked === asked ? `${known.turn} again` : 'conflict';
    const { cap, overflow, mode } = this.conversation(key);
    const waiting = this.open(key).filter(({ status }) => status === 'queued');
    const interrupts = kind === 'chat' && mode === 'interrupt';
    const over = interrupts ? 0 : waiting.length + 1 - (cap ?? Infinity);
    if (over > 0 && overflow === 'reject') return 'full';
    const older = this.open(key);
    const turn = this.enqueue({ key, kind, plan, parent: undefined, origin: undefined });
    if (request !== undefined) this.requests.set(request, { asked, turn: turn.name });
    for (const other of interrupts ? older : waiting.slice(0, Math.max(0, over))) this.cancelNow(other);
    return `${turn.name} new`;
  }

  enqueue(about: Omit<Parameters<typeof newTurn>[0], 'name'>): ModelTurn {
    const turn = newTurn({ name: this.turns.length + 1, ...about });
    this.turns.push(turn);
    this.tell(turn, 'turn.queued');
    const conversation = this.conversation(turn.key);
    if (conversation.state === 'idle') Object.assign(conversation, { state: 'ready', due: true });
    return turn;
  }

  setQueue(key: Key, queue: Pick<ModelConversation, 'mode' | 'cap' | 'overflow'>): void {
    Object.assign(this.conversation(key), queue);
  }

  /** Takes everything that is due. `dies`: before it does anything. */
  claim(owner: Owner, dies: boolean): string[] {
    const due = [...this.conversations.values()].filter(
      ({ state, due: isDue }) => (state === 'ready' || state === 'leased') && isDue,
    );
    const taken = due.map((conversation) => {
      const takenFrom = conversation.owner;
      conversation.token += 1;
      conversation.takeovers += takenFrom === null ? 0 : 1;
      Object.assign(conversation, { state: 'leased', due: false, owner });
      return { conversation, said: `${conversation.key} ${conversation.token} ${takenFrom}` };
    });
    const runs = taken.map(({ conversation }) => new ModelRun(this, conversation));
    if (!dies) this.runs.push(...runs);
    for (const run of dies ? [] : runs) run.begin();
    return taken.map(({ said }) => said).sort();
  }

  /** The owner's runs that are at a step. */
  runsOf(owner: Owner): ModelRun[] {
    return this.runs.filter((run) => run.owner === owner && !run.over);
  }

  die(owner: Owner): void {
    this.runs = this.runs.filter((run) => run.owner !== owner);
  }

  /** Extends what is still held; stops what is not, and whose turn was asked to stop. */
  renew(owner: Owner): boolean[] {
    const runs = this.runsOf(owner);
    const held = runs.map((run) => run.holds());
    const wanted = runs.filter((run) => run.current?.cancelRequested);
    runs.forEach((run, i) => (held[i] ? (run.conversation.due = false) : (run.over = true)));
    for (const run of wanted) if (!run.over) run.cancel();
    return held;
  }

  /** Time passes: what waits is due, and leases have run out. */
  pass(key: Key): void {
    const conversation = this.conversation(key);
    if (conversation.state === 'ready' || conversation.state === 'leased') conversation.due = true;
  }

  cancel(name: number): string {
    const turn = this.turns.find((one) => one.name === name);
    if (!turn) return 'not_found';
    return this.cancelNow(turn);
  }

  /** Changes it at once while nobody runs it, and leaves word for whoever does. */
  private cancelNow(turn: ModelTurn): string {
    if (isEnded(turn)) return 'already_ended';
    const conversation = this.conversation(turn.key);
    if (conversation.state === 'leased' && turn.status !== 'queued') {
      turn.cancelRequested = true;
      return 'cancelled';
    }
    const wasQueued = turn.status === 'queued';
    const wasNext = this.open(turn.key)[0] === turn;
    for (const step of turn.steps) if (!wasQueued && !isEnded(step)) step.status = 'cancelled';
    this.end(turn, 'cancelled');
    if (!wasQueued || (conversation.state === 'ready' && wasNext)) this.release(conversation);
    return 'cancelled';
  }

  resolve(name: number, decision: 'retry' | 'done' | 'fail'): string {
    const turn = this.turns.find((one) => one.name === name);
    const step = turn?.steps.at(-1);
    if (!turn) return 'not_found';
    if (turn.status !== 'paused' || turn.wait?.kind !== 'manual' || !step) return 'not_parked';
    step.status = decision === 'retry' ? 'queued' : decision === 'done' ? 'succeeded' : 'failed';
    turn.wait = undefined;
    this.rest(this.conversation(turn.key), 'ready', true);
    return 'resolved';
  }

  redrive(name: number, decision: 'retry' | 'done' | undefined): string {
    const dead = this.turns.find((one) => one.name === name);
    if (!dead?.dead) return 'not_dead';
    if (dead.dead.redrivenAs !== null) return `already ${dead.dead.redrivenAs}`;
    const open = dead.steps.find((step) => !isEnded(step));
    const undecided = open?.does === 'once' && open.status === 'running';
    if (undecided && !decision) return 'undecided';
    const { key, kind, plan, parent } = dead;
    const turn = this.enqueue({ key, kind, plan, parent, origin: dead.origin ?? dead });
    turn.steps = dead.steps.map((step) =>
      step === open ? { ...step, status: undecided && decision === 'done' ? 'succeeded' : 'queued' } : { ...step },
    );
    dead.dead.redrivenAs = turn.name;
    return `redriven ${turn.name}`;
  }

  /** Something arrives from outside, for all that wait for it; the first time counts. */
  arrive(id: string, success: boolean): string {
    const arrival = this.arrival(id);
    if (arrival.arrived !== undefined) return 'already';
    arrival.arrived = success;
    const waiting = this.turns
      .filter(({ status, wait }) => status === 'paused' && wait?.id === id)
      .map(({ key }) => this.conversation(key))
      .filter(({ state }) => state !== 'leased');
    for (const conversation of waiting) this.rest(conversation, 'ready', true);
    return waiting.length > 0 ? 'ready' : 'kept';
  }

  /** Notes who waits; whether there is nothing left to wait for. */
  park(turn: ModelTurn, id: string): boolean {
    const arrival = this.arrival(id);
    arrival.waiter = turn;
    return arrival.arrived !== undefined;
  }

  arrived(id: string): boolean | undefined {
    return this.arrivals.get(id)?.arrived;
  }

  /** A turn comes to its end; whoever waits for it hears of it. */
  end(turn: ModelTurn, status: 'succeeded' | 'failed' | 'cancelled'): void {
    turn.status = status;
    turn.wait = undefined;
    this.tell(turn, status === 'succeeded' ? 'turn.completed' : `turn.${status}`);
    if (turn.parent) this.arrive(`turn ${turn.name}`, status === 'succeeded');
  }

  /** The lease goes, and the conversation is ready for its next turn or idle. */
  release(conversation: ModelConversation): void {
    const pending = this.open(conversation.key).some(({ status }) => status === 'queued');
    this.rest(conversation, pending ? 'ready' : 'idle', pending);
  }

  rest(conversation: ModelConversation, state: 'idle' | 'ready' | 'parked', due: boolean): void {
    Object.assign(conversation, { state, due, owner: null, takeovers: 0 });
  }

  private arrival(id: string): ModelArrival {
    const known = this.arrivals.get(id) ?? { waiter: undefined, arrived: undefined };
    this.arrivals.set(id, known);
    return known;
  }
}
