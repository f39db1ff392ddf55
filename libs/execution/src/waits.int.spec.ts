import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID, payloadFingerprint } from '@tyrum/protocol';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { StepOutcome } from './step-executor';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';
import { arriveIn, type Arrival } from './waits';

const CONVERSATION = 'agent:default:main';
const OK: StepOutcome = { kind: 'succeeded', result: { output: 'ok' } };

const signal = (id: string, output = 'arrived'): Arrival => ({
  tenantId: DEFAULT_TENANT_ID,
  kind: 'signal',
  id,
  outcome: { kind: 'succeeded', result: { output } },
});

describeOnBothDialects('a turn that waits', (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  const get = (id: string) => engine.reader.get(DEFAULT_TENANT_ID, id);
  const until = (id: string, wanted: string) =>
    eventually(async () => expect((await get(id))?.turn.status).toBe(wanted), { timeoutMs: 10_000 });
  const queue = async (conversationKey = CONVERSATION) => {
    const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey };
    const [row] = await engine.store.transaction((tx) => engine.turns.hold(tx, [ref]));
    return row;
  };
  const cmdOf = (step: { args: unknown }) => (step.args as { cmd: string }).cmd;
  /** Steps named `wait:<id>` wait for the signal <id>. */
  const waiter = (timeoutMs?: number) =>
    new ScriptedExecutor(({ action }) => {
      const [verb, id] = cmdOf(action).split(':');
      if (verb !== 'wait' || id === undefined) return Promise.resolve(OK);
      return Promise.resolve({
        kind: 'waiting',
        wait: { kind: 'signal', id, ...(timeoutMs === undefined ? {} : { timeoutMs }) },
      });
    });
  const outputs = async (id: string) => (await get(id))?.steps.map(({ result }) => result?.output);

  it('holds neither worker nor lease, and goes on with what arrives', async () => {
    const executor = waiter();
    const processor = engine.process(executor);
    const id = await engine.start(CONVERSATION, [cliStep('wait:s'), cliStep('after')]);
    await until(id, 'paused');
    await eventually(() => expect(processor.running).toBe(0));
    expect(await queue()).toMatchObject({ state: 'parked', lease_owner: null });
    expect((await get(id))?.waiting).toMatchObject({ kind: 'signal', id: 's' });
    expect(await engine.waits.arrive(signal('s'))).toBe('ready');
    await until(id, 'succeeded');
    expect(await outputs(id)).toEqual(['arrived', 'ok']);
    expect(executor.requests.map(({ action }) => cmdOf(action))).toEqual(['wait:s', 'after']);
  });

  it('goes on at once with what arrived before it began to wait', async () => {
    expect(await engine.waits.arrive(signal('early'))).toBe('kept');
    engine.process(waiter());
    const id = await engine.start(CONVERSATION, [cliStep('wait:early')]);
    await until(id, 'succeeded');
    expect(await outputs(id)).toEqual(['arrived']);
  });

  it('takes the first of two arrivals, before the wait and after it', async () => {
    await engine.waits.arrive(signal('a', 'first'));
    expect(await engine.waits.arrive(signal('a', 'second'))).toBe('already');
    engine.process(waiter());
    const id = await engine.start(CONVERSATION, [cliStep('wait:a'), cliStep('wait:b')]);
    // It also pauses for a moment over what has arrived already.
    await eventually(async () => expect((await get(id))?.waiting?.id).toBe('b'));
    await eventually(async () => expect((await queue())?.state).toBe('parked'));
    const twice = await Promise.all([engine.waits.arrive(signal('b', 'x')), engine.waits.arrive(signal('b', 'x'))]);
    expect([...twice].sort()).toEqual(['already', 'ready']);
    await until(id, 'succeeded');
    expect(await outputs(id)).toEqual(['first', 'x']);
  });

  it('is not woken by what arrives after it was cancelled', async () => {
    engine.process(waiter());
    const id = await engine.start(CONVERSATION, [cliStep('wait:s')]);
    await until(id, 'paused');
    await engine.control.cancel(DEFAULT_TENANT_ID, id);
    expect(await engine.waits.arrive(signal('s'))).toBe('kept');
    expect((await get(id))?.turn.status).toBe('cancelled');
    expect((await queue())?.state).toBe('idle');
    const next = await engine.start(CONVERSATION, [cliStep('next')]);
    await until(next, 'succeeded');
  });

  it('goes on together with every other that waits for the same', async () => {
    engine.process(waiter());
    const keys = ['a', 'b', 'c'].map((peer) => `agent:default:x:dm:${peer}`);
    const ids = await Promise.all(keys.map((key) => engine.start(key, [cliStep('wait:shared'), cliStep('after')])));
    for (const id of ids) await until(id, 'paused');
    for (const key of keys) await eventually(async () => expect((await queue(key))?.state).toBe('parked'));
    // The one that came last to wait is cancelled: the others wait on.
    await engine.control.cancel(DEFAULT_TENANT_ID, ids[2]!);
    expect(await engine.waits.arrive(signal('shared'))).toBe('ready');
    for (const id of ids.slice(0, 2)) {
      await until(id, 'succeeded');
      expect(await outputs(id)).toEqual(['arrived', 'ok']);
    }
    expect((await get(ids[2]!))?.turn.status).toBe('cancelled');
  });

  it('is not forgotten when many come to wait for one thing at the moment at which it arrives', async () => {
    engine.process(waiter());
    const other = new TestEngine(await stores().open());
    const ids = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const id = await engine.start(`agent:default:x:dm:${i}`, [cliStep('wait:one')]);
        if (i === 20) await other.waits.arrive(signal('one'));
        return id;
      }),
    );
    for (const id of ids) await until(id, 'succeeded');
    await other.stop();
  });

  it('loses no arrival that comes in the same moment as it parks', async () => {
    engine.process(waiter());
    const other = new TestEngine(await stores().open());
    const ids = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const id = await engine.start(`agent:default:x:dm:${i}`, [cliStep(`wait:s${i}`)]);
        await other.waits.arrive(signal(`s${i}`));
        return id;
      }),
    );
    for (const id of ids) await until(id, 'succeeded');
    await other.stop();
  });

  it('makes nothing ready unless the arrival itself is committed', async () => {
    engine.process(waiter());
    const id = await engine.start(CONVERSATION, [cliStep('wait:s')]);
    await until(id, 'paused');
    const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey: CONVERSATION };
    const cut = engine.store.transaction(async (tx) => {
      await tx.lockConversations([ref]);
      expect(await arriveIn(tx, engine.turns, signal('s'), [ref])).toBe('ready');
      throw new Error('cut off');
    });
    await expect(cut).rejects.toThrow('cut off');
    expect((await queue())?.state).toBe('parked');
    expect(await engine.waits.arrive(signal('s'))).toBe('ready');
    await until(id, 'succeeded');
  });

  it('fails its step when nothing has arrived in time', async () => {
    engine.process(waiter(50));
    const id = await engine.start(CONVERSATION, [cliStep('wait:never')]);
    await until(id, 'failed');
    expect((await get(id))?.error?.code).toBe('wait_timeout');
  });

  describe('for a turn it started', () => {
    const CHILD = 'agent:default:x:dm:child';
    /** Steps named `spawn` start a child and wait for its end. */
    const parent = (childCmd: string) => {
      const childId = randomUUID();
      const executor = new ScriptedExecutor(async ({ action, turnId, conversationKey }, { signal: abort }) => {
        const cmd = cmdOf(action);
        if (cmd === 'fail') return { kind: 'failed', retryable: false, error: { code: 'bad', message: 'it is bad' } };
        if (cmd === 'stay')
          return new Promise((resolve) => abort.addEventListener('abort', () => resolve({ kind: 'interrupted' })));
        if (cmd !== 'spawn') return OK;
        await engine.intake.accept({
          tenantId: DEFAULT_TENANT_ID,
          conversationKey: CHILD,
          turnId: childId,
          kind: 'workflow',
          triggerKind: 'turn',
          input: { steps: [cliStep(childCmd)] },
          parent: { turnId, conversationKey },
          idempotency: {
            tenantId: DEFAULT_TENANT_ID,
            route: 'spawn',
            principal: turnId,
            key: childId,
            fingerprint: payloadFingerprint([childCmd]),
          },
          answer: {},
        });
        return { kind: 'waiting', wait: { kind: 'turn', id: childId } };
      });
      return { executor, childId };
    };

    it('goes on when the child succeeds', async () => {
      const { executor, childId } = parent('x');
      engine.process(executor);
      const id = await engine.start(CONVERSATION, [cliStep('spawn'), cliStep('after')]);
      await until(id, 'succeeded');
      expect((await get(id))?.steps[0]?.result).toEqual({ turn_id: childId, status: 'succeeded' });
    });

    it('fails when the child fails', async () => {
      engine.process(parent('fail').executor);
      const id = await engine.start(CONVERSATION, [cliStep('spawn'), cliStep('after')]);
      await until(id, 'failed');
      expect((await get(id))?.error?.code).toBe('child_failed');
    });

    it.each(['running', 'queued'])('hears of a child that is cancelled while %s', async (when) => {
      const { executor, childId } = parent('stay');
      engine.process(executor);
      const before = when === 'queued' ? await engine.start(CHILD, [cliStep('stay')]) : undefined;
      const id = await engine.start(CONVERSATION, [cliStep('spawn')]);
      await until(id, 'paused');
      if (!before) await until(childId, 'running');
      await engine.control.cancel(DEFAULT_TENANT_ID, childId);
      await until(id, 'failed');
      expect((await get(id))?.error?.code).toBe('child_cancelled');
      if (before) await engine.control.cancel(DEFAULT_TENANT_ID, before);
    });
  });
});
