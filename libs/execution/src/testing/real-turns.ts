import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID, payloadFingerprint } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import type { QueueSettings } from '@tyrum/statestore/turns';
import type { Real } from '@tyrum/statestore/testing';
import { QueueFullError } from '../input-queue';
import type { StepOutcome, StepRequest } from '../step-executor';
import type { AcceptRequest } from '../turn-intake';
import { CHILDREN, CONVERSATIONS, type Key, type Owner, type Planned } from './model-turns';
import { TURNS_PER_CLAIM, type Outcome } from './model-run';
import { readTurnState } from './read-turn-state';
import { doesOf, SteppedRun, WatchedWriter } from './stepped-run';
import { cliStep, TestEngine } from './test-engine';
import type { Submission } from './turn-model';

const TTL_MS = 3_600_000;
const DONE: StepOutcome = { kind: 'succeeded', result: { text: 'said', calls: [] } };

const sql = (name: string, postgres: string) => ({ name, postgres, sqlite: postgres.replaceAll('$', '?') });
const TABLES = ['turn', 'step', 'conversation_queue', 'dead_letter', 'wait', 'outbox', 'idempotency_record', 'message'];
const forget = TABLES.map((table) => sql(`forget-${table}`, `delete from ${table}`));
const pass = sql(
  'pass',
  `update conversation_queue set due_at = 1 where conversation_key = $1 and state in ('ready', 'leased')`,
);

/** The engine on a database, with two workers whose steps are answered by hand. */
export class RealTurns implements Real {
  /** Small numbers for turns, in the order in which they were accepted. */
  private readonly names = new Map<string, number>();
  private runs: SteppedRun[] = [];
  private fenced = 0;
  /** The idempotency key that a step came with, by its place. */
  private readonly keys = new Map<string, string>();
  private readonly changedKeys: string[] = [];
  private readonly writers: Readonly<Record<Owner, WatchedWriter>>;

  private constructor(
    private readonly engines: Readonly<Record<Owner, TestEngine>>,
    private readonly store: StateStore,
  ) {
    this.writers = { p: WatchedWriter.of(engines.p), q: WatchedWriter.of(engines.q) };
  }

  static async begin(stores: Readonly<Record<Owner, StateStore>>): Promise<RealTurns> {
    for (const statement of forget) await stores.p.execute(statement);
    const engines = { p: new TestEngine(stores.p), q: new TestEngine(stores.q) };
    for (const key of CONVERSATIONS) await engines.p.setQueue(key, { mode: 'followup' });
    return new RealTurns(engines, stores.p);
  }

  async seen(): Promise<unknown> {
    const runs = this.runs.map((run) => {
      const { turnId, stepIndex } = run.step?.request ?? { turnId: '', stepIndex: -1 };
      return `${run.owner} ${run.claimed.conversationKey} ${run.claimed.token}: ${this.nameOf(turnId)}/${stepIndex}`;
    });
    return {
      ...(await readTurnState(this.store, this.names)),
      runs,
      fenced: this.fenced,
      changedKeys: this.changedKeys,
    };
  }

  async submit({ key, request, kind, plan }: Submission): Promise<string> {
    const input = kind === 'workflow' ? { steps: plan.map(step) } : {};
    const about = { key, kind, input, route: 'submit', request: String(request ?? randomUUID()) };
    try {
      const outcome = await this.accept(about);
      if (outcome.kind === 'conflict') return 'conflict';
      return `${this.nameOf((outcome.answer as { turn_id: string }).turn_id)} ${outcome.replayed ? 'again' : 'new'}`;
    } catch (error) {
      if (error instanceof QueueFullError) return 'full';
      throw error;
    }
  }

  setQueue(key: Key, { cap, ...queue }: Omit<QueueSettings, 'cap'> & { cap: number | null }): Promise<void> {
    return this.engines.p.setQueue(key, { ...queue, ...(cap === null ? {} : { cap }) });
  }

  async claim(owner: Owner, dies: boolean): Promise<string[]> {
    const { turns } = this.engines[owner];
    const claimed = await turns.claim(owner, TTL_MS, 50, { turnsEach: TURNS_PER_CLAIM });
    claimed.sort((a, b) => a.conversationKey.localeCompare(b.conversationKey));
    const work = await turns.workOf(claimed);
    for (const [i, conversation] of dies ? [] : claimed.entries()) {
      const run = new SteppedRun(owner, conversation, work[i] ?? [], this.writers[owner], {
        engine: this.engines[owner],
        onRequest: (request) => this.noteKey(request),
      });
      this.runs.push(run);
      await run.rest();
    }
    this.forgetOver();
    return claimed.map(({ conversationKey, token, takenFrom }) => `${conversationKey} ${token} ${takenFrom}`);
  }

  /** Answers the step that one of the owner's runs is at. */
  async settle(owner: Owner, nth: number, outcome: Outcome): Promise<void> {
    const run = this.runsOf(owner)[nth];
    const open = run?.step;
    if (!run || !open) throw new Error('a run that is at rest is at a step');
    open.answer(await this.outcomeOf(run, outcome));
    await run.rest();
    this.forgetOver();
  }

  /** Answers all steps of a worker at once, so that what comes of them is written together. */
  async settleAll(owner: Owner, outcome: Outcome): Promise<void> {
    const answers: (() => void)[] = [];
    for (const run of this.runsOf(owner)) {
      const answer = await this.outcomeOf(run, outcome);
      answers.push(() => run.step?.answer(answer));
    }
    const runs = this.runsOf(owner);
    for (const answer of answers) answer();
    for (const run of runs) await run.rest();
    this.forgetOver();
  }

  die(owner: Owner): void {
    this.runs = this.runs.filter((run) => run.owner !== owner);
  }

  /** What a processor does about its runs three times in a lease. */
  async renew(owner: Owner): Promise<boolean[]> {
    const runs = this.runsOf(owner);
    const { held, cancelRequested } = await this.engines[owner].turns.renew(
      runs.map(({ run }) => ({ ref: run.ref, token: run.token, ...(run.turnId ? { turnId: run.turnId } : {}) })),
      TTL_MS,
    );
    for (const [i, run] of runs.entries()) {
      if (!held[i]) run.run.loseLease();
      for (const turnId of cancelRequested) run.run.cancelTurn(turnId);
      await run.rest();
    }
    this.forgetOver();
    return held;
  }

  async pass(key: Key): Promise<void> {
    await this.store.execute(pass, [key]);
  }

  cancel(name: number): Promise<string> {
    return this.engines.q.control.cancel(DEFAULT_TENANT_ID, this.idOf(name));
  }

  async resolve(name: number, decision: 'retry' | 'done' | 'fail'): Promise<string> {
    return (await this.engines.q.control.resolve(DEFAULT_TENANT_ID, this.idOf(name), { decision })).kind;
  }

  async redrive(name: number, decision: 'retry' | 'done' | undefined): Promise<string> {
    const { turns, redrives } = this.engines.p;
    const found = await this.store.read((db) => turns.find(db, DEFAULT_TENANT_ID, this.idOf(name)));
    if (!found) return 'not_dead';
    const outcome = await this.store.transaction((tx) => redrives.redriveIn(tx, found, decision));
    if (outcome.kind === 'redriven') return `redriven ${this.nameOf(outcome.turnId)}`;
    return outcome.kind === 'already_redriven' ? `already ${this.nameOf(outcome.turnId)}` : outcome.kind;
  }

  arriveSignal(id: string, success: boolean): Promise<string> {
    const outcome: StepOutcome = success
      ? { kind: 'succeeded', result: { text: 'arrived', calls: [] } }
      : { kind: 'failed', error: { code: 'refused', message: 'it was refused' }, retryable: false };
    return this.engines.q.waits.arrive({ tenantId: DEFAULT_TENANT_ID, kind: 'signal', id, outcome });
  }

  /** A step keeps its key over all of its attempts. */
  private noteKey({ turnId, stepIndex, idempotencyKey }: StepRequest): void {
    const place = `${this.nameOf(turnId)}/${stepIndex}`;
    const known = this.keys.get(place) ?? idempotencyKey;
    if (known !== idempotencyKey) this.changedKeys.push(place);
    this.keys.set(place, known);
  }

  private runsOf(owner: Owner): SteppedRun[] {
    return this.runs.filter((run) => run.owner === owner);
  }

  private forgetOver(): void {
    for (const run of this.runs.filter(({ over }) => over)) this.fenced += run.fenced;
    this.runs = this.runs.filter(({ over }) => !over);
  }

  private async outcomeOf({ owner, step: open }: SteppedRun, outcome: Outcome): Promise<StepOutcome> {
    if (!open) throw new Error('there is a step to answer');
    const { request } = open;
    const error = { code: 'bad', message: 'it is bad' };
    const isModel = doesOf(request) === 'model';
    if (outcome === 'fail') return { kind: 'failed', error, retryable: false };
    if (outcome === 'fail_for_now') return { kind: 'failed', error, retryable: true };
    if (outcome === 'ask' && isModel) {
      const calls = [{ call_id: '1', tool: 'cli', input: {}, action: step('once') }];
      return { kind: 'succeeded', result: { text: '', calls: calls as never } };
    }
    if (outcome === 'unknown' && !isModel) return { kind: 'unknown', detail: 'nobody knows' };
    if (outcome === 'start_child' && request.conversationKey !== CHILDREN) {
      const parent = { turnId: request.turnId, conversationKey: request.conversationKey };
      const about = { key: CHILDREN, kind: 'workflow', input: { steps: [step('once')] }, route: 'child' } as const;
      const child = await this.accept({ ...about, request: randomUUID(), parent }, owner as Owner);
      return { kind: 'waiting', wait: { kind: 'turn', id: (child as { answer: { turn_id: string } }).answer.turn_id } };
    }
    if (typeof outcome !== 'object') return DONE;
    const id = `signal ${outcome.signal} of ${request.conversationKey}`;
    return { kind: 'waiting', wait: { kind: 'signal', id, ...(outcome.timed ? { timeoutMs: TTL_MS } : {}) } };
  }

  private async accept(
    about: Pick<AcceptRequest, 'kind' | 'input'> & {
      key: Key;
      route: string;
      request: string;
      parent?: NonNullable<AcceptRequest['parent']>;
    },
    owner: Owner = 'p',
  ) {
    const { key, kind, input, route, request, parent } = about;
    const turnId = randomUUID();
    const outcome = await this.engines[owner].intake.accept({
      tenantId: DEFAULT_TENANT_ID,
      conversationKey: key,
      turnId,
      kind,
      triggerKind: 'test',
      input,
      ...(kind === 'chat' ? { message: { messageId: `said-${turnId}`, parts: [{ type: 'text', text: 'said' }] } } : {}),
      ...(parent ? { parent } : {}),
      idempotency: {
        tenantId: DEFAULT_TENANT_ID,
        route,
        principal: 'test',
        key: request,
        fingerprint: payloadFingerprint({ key, kind, input }),
      },
      answer: { turn_id: turnId },
    });
    // It gets its number now: nothing else is accepted meanwhile.
    if (outcome.kind === 'accepted' && !outcome.replayed) this.nameOf(turnId);
    return outcome;
  }

  private nameOf(turnId: string): number {
    const name = this.names.get(turnId) ?? this.names.size + 1;
    this.names.set(turnId, name);
    return name;
  }

  private idOf(name: number): string {
    const found = [...this.names].find(([, other]) => other === name);
    return found?.[0] ?? randomUUID();
  }
}

function step(planned: Planned): ReturnType<typeof cliStep> {
  return cliStep(planned, planned === 'quick' ? 'read' : planned);
}
