import { randomUUID } from 'node:crypto';
import { conversationLease, Leases } from '@tyrum/leases';
import { OutboxReader, type StoredEvent } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { Tenants } from '@tyrum/statestore/records';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { StepContext, StepOutcome, StepRequest } from './step-executor';
import { cliStep, RecordingObserver, ScriptedExecutor, TestEngine } from './testing';

const OK: StepOutcome = { kind: 'succeeded', result: { output: 'ok' } };
/** Runs until it is told to stop. */
const untilAborted = (_request: StepRequest, { signal }: StepContext): Promise<StepOutcome> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve({ kind: 'interrupted' });
    signal.addEventListener('abort', () => resolve({ kind: 'interrupted' }));
  });

const CONVERSATION = 'agent:default:main';

describeOnBothDialects('the turn processor', (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  const status = async (id: string) => (await engine.reader.get(DEFAULT_TENANT_ID, id))?.turn.status;
  const until = (id: string, wanted: string) => eventually(async () => expect(await status(id)).toBe(wanted));
  const events = async (): Promise<readonly StoredEvent[]> => {
    const reader = new OutboxReader(engine.store);
    const head = await reader.head();
    return eventually(async () => (await reader.readAfter({ ...head, xid: '0', id: '0' }, 1_000)).events);
  };

  it('runs the turns of a conversation in order and tells of every change once, in order', async () => {
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    const ids: string[] = [];
    for (let i = 0; i < 30; i += 1) ids.push(await engine.start(CONVERSATION, [cliStep(`a${i}`), cliStep(`b${i}`)]));
    engine.process(executor);
    await until(ids.at(-1) ?? '', 'succeeded');
    const ran = executor.requests.map((request) => (request.action.args as { cmd: string }).cmd);
    expect(ran).toEqual(ids.flatMap((_, i) => [`a${i}`, `b${i}`]));
    await eventually(async () => {
      const seen = await events();
      expect(seen.map((event) => event.conversationSeq)).toEqual(seen.map((_, i) => i + 1));
      const last = seen.filter((event) => event.turnId === ids.at(-1)).map((event) => event.type);
      expect(last).toEqual([
        'turn.queued',
        'turn.started',
        'tool.lifecycle',
        'tool.lifecycle',
        'tool.lifecycle',
        'tool.lifecycle',
        'turn.completed',
      ]);
    });
  });

  it('writes turns that only read and end at once in one commit, with all that came of them', async () => {
    const failed: StepOutcome = { kind: 'failed', error: { code: 'no', message: 'no' }, retryable: false };
    const executor = new ScriptedExecutor(({ action }) =>
      Promise.resolve((action.args as { cmd: string }).cmd === 'r3' ? failed : OK),
    );
    const ids: string[] = [];
    for (let i = 0; i < 20; i += 1) ids.push(await engine.start(CONVERSATION, [cliStep(`r${i}`, 'read')]));
    const commits = jest.spyOn(engine.writer, 'submit');
    engine.process(executor);
    await eventually(async () => {
      expect(await Promise.all(ids.map(status))).toEqual(ids.map((_, i) => (i === 3 ? 'failed' : 'succeeded')));
    });
    expect(executor.requests.map(({ turnId }) => turnId)).toEqual(ids);
    // A slow machine may part them, but never into one each.
    expect(commits.mock.calls.length).toBeLessThan(10);
    const { turn, steps } = (await engine.reader.get(DEFAULT_TENANT_ID, ids[0] as string)) ?? {};
    expect(steps).toMatchObject([{ status: 'succeeded', attempts: 1, effect: 'read', result: { output: 'ok' } }]);
    expect(turn?.started_at).not.toBeNull();
    await eventually(async () => {
      const seen = await events();
      expect(seen.map((event) => event.conversationSeq)).toEqual(seen.map((_, i) => i + 1));
      const types = (id: string | undefined) => seen.filter(({ turnId }) => turnId === id).map(({ type }) => type);
      expect(types(ids[0])).toEqual(['turn.queued', 'turn.started', 'tool.lifecycle', 'turn.completed']);
      expect(types(ids[3])).toEqual(['turn.queued', 'turn.started', 'tool.lifecycle', 'turn.failed']);
    });
  });

  it('shows a turn that only reads as running while it lasts, with those before it ended', async () => {
    let goOn: () => void = () => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const executor = new ScriptedExecutor(async ({ action }) => {
      if ((action.args as { cmd: string }).cmd === 'long') await held;
      return OK;
    });
    const quick = await engine.start(CONVERSATION, [cliStep('quick', 'read')]);
    const long = await engine.start(CONVERSATION, [cliStep('long', 'read'), cliStep('write')]);
    const after = await engine.start(CONVERSATION, [cliStep('after', 'read')]);
    engine.process(executor);
    try {
      await until(long, 'running');
      expect([await status(quick), await status(after)]).toEqual(['succeeded', 'queued']);
      const [first] = (await engine.reader.get(DEFAULT_TENANT_ID, long))?.steps ?? [];
      expect(first).toMatchObject({ status: 'running', attempts: 1 });
    } finally {
      goOn();
    }
    await until(after, 'succeeded');
    expect(await status(long)).toBe('succeeded');
    expect(executor.requests.map(({ action }) => (action.args as { cmd: string }).cmd)).toEqual([
      'quick',
      'long',
      'write',
      'after',
    ]);
  });

  it('tries a read again that failed for a while, as any step', async () => {
    const outcomes: StepOutcome[] = [{ kind: 'failed', error: { code: 'busy', message: 'busy' }, retryable: true }, OK];
    engine.process(new ScriptedExecutor(() => Promise.resolve(outcomes.shift() ?? OK)));
    const id = await engine.start(CONVERSATION, [cliStep('r', 'read')]);
    await until(id, 'succeeded');
    const { turn, steps } = (await engine.reader.get(DEFAULT_TENANT_ID, id)) ?? {};
    expect([turn?.attempt, steps?.[0]?.attempts]).toEqual([1, 2]);
  });

  it('leaves a turn cancelled that was cancelled while it began', async () => {
    const executor = new ScriptedExecutor(async (request, context) => {
      await engine.control.cancel(DEFAULT_TENANT_ID, request.turnId, 'not that one');
      return request.turnId === lasting ? untilAborted(request, context) : OK;
    });
    const ended = await engine.start(CONVERSATION, [cliStep('x', 'read')]);
    const lasting = await engine.start(CONVERSATION, [cliStep('y', 'read')]);
    engine.process(executor);
    await eventually(() => expect(executor.requests).toHaveLength(2));
    await eventually(async () => {
      const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey: CONVERSATION };
      const [queue] = await engine.store.transaction((tx) => engine.turns.hold(tx, [ref]));
      expect([queue?.state, queue?.pending]).toEqual(['idle', 0]);
    });
    expect([await status(ended), await status(lasting)]).toEqual(['cancelled', 'cancelled']);
    await eventually(async () => {
      const ends = (await events()).filter(({ type }) => type === 'turn.cancelled' || type === 'turn.completed');
      expect(ends.map(({ type, turnId }) => [type, turnId])).toEqual([
        ['turn.cancelled', ended],
        ['turn.cancelled', lasting],
      ]);
    });
  });

  it('never runs two turns of one conversation at once, with several workers on it', async () => {
    const running = new Map<string, number>();
    let overlaps = 0;
    const executor = new ScriptedExecutor(async ({ conversationKey }) => {
      const now = (running.get(conversationKey) ?? 0) + 1;
      running.set(conversationKey, now);
      if (now > 1) overlaps += 1;
      await new Promise((resolve) => setImmediate(resolve));
      running.set(conversationKey, now - 1);
      return OK;
    });
    const other = new TestEngine(await stores().open());
    engine.process(executor);
    other.process(executor);
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, i) => engine.start(`agent:default:x:dm:${i % 5}`, [cliStep('x'), cliStep('y')])),
    );
    await eventually(async () => expect(await Promise.all(ids.map(status))).toEqual(ids.map(() => 'succeeded')), {
      timeoutMs: 30_000,
    });
    expect(executor.requests).toHaveLength(200);
    expect(overlaps).toBe(0);
    await other.stop();
  });

  it('refuses the late result of a worker whose lease was taken over', async () => {
    const observer = new RecordingObserver();
    let finish: (outcome: StepOutcome) => void = () => {};
    const slow = new ScriptedExecutor(() => new Promise((resolve) => (finish = resolve)));
    const loser = engine.process(slow, { owner: 'slow', observer });
    const id = await engine.start(CONVERSATION, [cliStep('x', 'idempotent')]);
    await eventually(() => expect(slow.requests).toHaveLength(1));
    // What a pause does: the lease runs out while its holder does not know. It must not claim it again by itself.
    await loser.stopClaiming();
    await engine.store.execute({
      name: 'expire',
      postgres: 'update conversation_queue set due_at = 0',
      sqlite: 'update conversation_queue set due_at = 0',
    });
    const other = new TestEngine(await stores().open());
    const quick = new ScriptedExecutor(() => Promise.resolve({ kind: 'succeeded', result: { output: 'quick' } }));
    const takeover = new RecordingObserver();
    other.process(quick, { owner: 'quick', observer: takeover });
    await until(id, 'succeeded');
    const before = await engine.reader.get(DEFAULT_TENANT_ID, id);
    finish({ kind: 'succeeded', result: { output: 'late' } });
    await eventually(() => expect(observer.fenced).toEqual([1]));
    expect(takeover.takenOver).toBe(1);
    expect(await engine.reader.get(DEFAULT_TENANT_ID, id)).toEqual(before);
    expect(before?.steps[0]?.result?.output).toBe('quick');
    expect(before?.turn.attempt).toBe(2);
    expect(quick.requests[0]?.idempotencyKey).toBe(slow.requests[0]?.idempotencyKey);
    const lease = conversationLease({ tenantId: DEFAULT_TENANT_ID, conversationKey: CONVERSATION });
    await eventually(async () => {
      expect(await new Leases(engine.store).history(lease, 10)).toMatchObject([
        { reason: 'lost', owner: 'slow', token: 1 },
        { reason: 'taken_over', owner: 'quick', taken_from: 'slow', token: 2 },
      ]);
    });
    await other.stop();
  });

  it('does not run a `once` step again after a takeover: the turn parks until somebody resolves it', async () => {
    const never = new ScriptedExecutor(untilAborted);
    const loser = engine.process(never, { owner: 'gone' });
    const id = await engine.start(CONVERSATION, [cliStep('x'), cliStep('y')]);
    await eventually(() => expect(never.requests).toHaveLength(1));
    await loser.stopClaiming();
    await engine.store.execute({
      name: 'expire',
      postgres: 'update conversation_queue set due_at = 0',
      sqlite: 'update conversation_queue set due_at = 0',
    });
    const other = new TestEngine(await stores().open());
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    other.process(executor, { owner: 'next' });
    await until(id, 'paused');
    const parked = await engine.reader.get(DEFAULT_TENANT_ID, id);
    expect(parked?.turn.blocked_reason).toBe('manual');
    expect(parked?.turn.blocked_detail).toContain('step 0');
    expect(parked?.steps[0]?.outcome).toBe('unknown');
    expect(executor.requests).toHaveLength(0);
    const later = await engine.start(CONVERSATION, [cliStep('z')]);
    expect(
      await other.control.resolve(DEFAULT_TENANT_ID, id, { decision: 'done', result: { output: 'seen' } }),
    ).toEqual({ kind: 'resolved' });
    await until(id, 'succeeded');
    await until(later, 'succeeded');
    const ran = executor.requests.map((request) => (request.action.args as { cmd: string }).cmd);
    expect(ran).toEqual(['y', 'z']);
    await other.stop();
  });

  it('takes an interrupted step for done when the executor finds that it was', async () => {
    const never = new ScriptedExecutor(untilAborted);
    const loser = engine.process(never);
    const id = await engine.start(CONVERSATION, [cliStep('x')]);
    await eventually(() => expect(never.requests).toHaveLength(1));
    await loser.stopClaiming();
    await engine.store.execute({
      name: 'expire',
      postgres: 'update conversation_queue set due_at = 0',
      sqlite: 'update conversation_queue set due_at = 0',
    });
    const other = new TestEngine(await stores().open());
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    executor.recovery = { kind: 'succeeded', result: { output: 'from the journal' } };
    other.process(executor);
    await until(id, 'succeeded');
    expect(executor.requests).toHaveLength(0);
    await other.stop();
  });

  it('tries a retryable step again after a pause that holds no lease, then gives up with its last error', async () => {
    let attempts = 0;
    const executor = new ScriptedExecutor(() => {
      attempts += 1;
      return Promise.resolve({ kind: 'failed', retryable: true, error: { code: 'busy', message: `try ${attempts}` } });
    });
    engine.process(executor);
    const id = await engine.start(CONVERSATION, [cliStep('x', 'idempotent'), cliStep('y')]);
    await until(id, 'failed');
    const turn = await engine.reader.get(DEFAULT_TENANT_ID, id);
    expect(executor.requests.map((request) => request.attempt)).toEqual([1, 2, 3]);
    expect(turn?.error).toEqual({ code: 'busy', message: 'try 3' });
    expect(turn?.steps[1]?.status).toBe('cancelled');
  });

  it('cancels what is queued, what is running, and what is parked', async () => {
    const executor = new ScriptedExecutor(untilAborted);
    engine.process(executor);
    const running = await engine.start(CONVERSATION, [cliStep('x')]);
    const queued = await engine.start(CONVERSATION, [cliStep('y')]);
    await eventually(() => expect(executor.requests).toHaveLength(1));
    expect(await engine.control.cancel(DEFAULT_TENANT_ID, queued, 'not needed')).toBe('cancelled');
    expect(await status(queued)).toBe('cancelled');
    expect(await engine.control.cancel(DEFAULT_TENANT_ID, running)).toBe('cancelled');
    await until(running, 'cancelled');
    expect(await engine.control.cancel(DEFAULT_TENANT_ID, running)).toBe('already_ended');
    expect(await engine.control.cancel(DEFAULT_TENANT_ID, randomUUID())).toBe('not_found');
    const next = await engine.start(CONVERSATION, [cliStep('z')]);
    await eventually(() => expect(executor.requests).toHaveLength(2));
    await engine.control.cancel(DEFAULT_TENANT_ID, next);
    await until(next, 'cancelled');
  });

  it('leaves a conversation idle when its last queued turn is cancelled, and ready when another is queued', async () => {
    const [first, second] = [
      await engine.start(CONVERSATION, [cliStep('x')]),
      await engine.start(CONVERSATION, [cliStep('y')]),
    ];
    const state = async () => {
      const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey: CONVERSATION };
      const [queue] = await engine.store.transaction((tx) => engine.turns.hold(tx, [ref]));
      return [queue?.state, queue?.pending];
    };
    await engine.control.cancel(DEFAULT_TENANT_ID, first);
    expect(await state()).toEqual(['ready', 1]);
    await engine.control.cancel(DEFAULT_TENANT_ID, second);
    expect(await state()).toEqual(['idle', 0]);
  });

  it('fails a turn whose executor throws, and goes on with the next', async () => {
    const executor = new ScriptedExecutor(({ action }) =>
      (action.args as { cmd: string }).cmd === 'bad' ? Promise.reject(new Error('a bug')) : Promise.resolve(OK),
    );
    engine.process(executor);
    const bad = await engine.start(CONVERSATION, [cliStep('bad')]);
    const good = await engine.start(CONVERSATION, [cliStep('good')]);
    await until(good, 'succeeded');
    expect((await engine.reader.get(DEFAULT_TENANT_ID, bad))?.error).toEqual({ code: 'internal', message: 'a bug' });
  });

  it('lets go at a drain: the running step ends, the turn goes on elsewhere', async () => {
    let finish: (outcome: StepOutcome) => void = () => {};
    const executor = new ScriptedExecutor(() => new Promise((resolve) => (finish = resolve)));
    const processor = engine.process(executor);
    const id = await engine.start(CONVERSATION, [cliStep('x'), cliStep('y')]);
    await eventually(() => expect(executor.requests).toHaveLength(1));
    const stopped = processor.stopClaiming().then(() => processor.finish(new AbortController().signal));
    finish(OK);
    await stopped;
    expect(processor.running).toBe(0);
    const other = new TestEngine(await stores().open());
    const next = new ScriptedExecutor(() => Promise.resolve(OK));
    other.process(next);
    await until(id, 'succeeded');
    expect(next.requests.map((request) => request.stepIndex)).toEqual([1]);
    await other.stop();
  });

  it('stops after the running step when the tenant is disabled, and goes on when it is enabled again', async () => {
    const disable = (disabled_at: number | null) =>
      engine.store.transaction((tx) => tx.records(Tenants).update({ tenant_id: DEFAULT_TENANT_ID }, { disabled_at }));
    let finish: (outcome: StepOutcome) => void = () => {};
    const executor = new ScriptedExecutor(({ stepIndex }) =>
      stepIndex === 0 ? new Promise((resolve) => (finish = resolve)) : Promise.resolve(OK),
    );
    const renewals = jest.spyOn(engine.turns, 'renew');
    const processor = engine.process(executor, { leaseTtlMs: 2_000 });
    const id = await engine.start(CONVERSATION, [cliStep('x'), cliStep('y')]);
    const queued = await engine.start(CONVERSATION, [cliStep('z')]);
    await eventually(() => expect(executor.requests).toHaveLength(1));
    await disable(1);
    const before = renewals.mock.calls.length;
    await eventually(() => expect(renewals.mock.calls.length).toBeGreaterThan(before + 1));
    finish(OK);
    await eventually(() => expect(processor.running).toBe(0));
    engine.backplane.publish('work');
    expect(await engine.turns.claim('another', 1_000, 10)).toEqual([]);
    expect([await status(id), await status(queued), executor.requests.length]).toEqual(['paused', 'queued', 1]);
    await disable(null);
    engine.backplane.publish('work');
    await eventually(() => expect(executor.requests).toHaveLength(3));
    finish(OK);
    await until(id, 'succeeded');
    await until(queued, 'succeeded');
  });

  it('makes one turn of the same request sent many times at once, from two processes', async () => {
    const other = new TestEngine(await stores().open());
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, i) => (i % 2 ? engine : other).accept(CONVERSATION, [cliStep('x')], 'same')),
    );
    const answers = new Set(outcomes.map((outcome) => JSON.stringify('answer' in outcome && outcome.answer)));
    expect(answers.size).toBe(1);
    expect(outcomes.filter((outcome) => outcome.kind === 'accepted' && !outcome.replayed)).toHaveLength(1);
    expect((await engine.reader.list(DEFAULT_TENANT_ID, { statuses: ['queued'], limit: 100 })).turns).toHaveLength(1);
    expect(await engine.accept(CONVERSATION, [cliStep('other')], 'same')).toEqual({ kind: 'conflict' });
  });
});
