import { OutboxReader } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { QueueSettings } from '@tyrum/statestore/turns';
import { describeOnBothDialects, expireConversations, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { QueueFullError } from './input-queue';
import type { StepContext, StepOutcome, StepRequest, TranscriptMessage } from './step-executor';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

const CONVERSATION = 'agent:default:main';
type Mode = QueueSettings['mode'];

/** A model that asks for a tool in its first call of the first turn, and answers otherwise; each call can be held up. */
class Model {
  /** What the user had said, as each call saw it, and whether the tool's result was before the last of it. */
  readonly calls: { readonly turnId: string; readonly said: string[]; readonly order: string }[] = [];
  private readonly gates = new Map<number, () => void>();
  readonly executor = new ScriptedExecutor((request, context) => this.run(request, context));

  constructor(private readonly heldCalls: readonly number[]) {}

  release(call: number): void {
    this.gates.get(call)?.();
  }

  private async run(request: StepRequest, { signal }: StepContext): Promise<StepOutcome> {
    if (request.action.type !== 'Llm') return { kind: 'succeeded', result: { output: 'tool' } };
    const transcript = await request.transcript();
    const call = this.calls.length;
    this.calls.push({ turnId: request.turnId, said: saidIn(transcript), order: transcript.map(shortly).join(' ') });
    if (this.heldCalls.includes(call)) {
      const aborted = await new Promise<boolean>((resolve) => {
        this.gates.set(call, () => resolve(false));
        signal.addEventListener('abort', () => resolve(true));
      });
      if (aborted) return { kind: 'interrupted' };
    }
    const asks = call === 0 ? [{ call_id: '1', tool: 'cli', input: {}, action: cliStep('x', 'read') }] : [];
    return { kind: 'succeeded', result: { text: asks.length > 0 ? '' : 'answer', calls: asks as never } };
  }
}

const textOf = (message: TranscriptMessage) =>
  message.parts.map((part) => ('text' in part ? String(part['text']) : '')).join('');
const saidIn = (transcript: readonly TranscriptMessage[]) =>
  transcript.filter(({ role }) => role === 'user').map(textOf);
const shortly = (message: TranscriptMessage) => (message.role === 'user' ? textOf(message) : message.role);

describeOnBothDialects('input that comes while a turn runs', (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  const row = (id: string) => engine.store.read((db) => engine.turns.find(db, DEFAULT_TENANT_ID, id));
  const status = async (id: string) => (await row(id))?.status;
  const until = (ids: readonly string[], wanted: readonly string[]) =>
    eventually(async () => expect(await Promise.all(ids.map(status))).toEqual(wanted), { timeoutMs: 10_000 });

  const CASES: { mode: Mode; calls: string[][]; statuses: string[]; takenBy: (number | null)[] }[] = [
    {
      mode: 'followup',
      calls: [['m1'], ['m1'], ['m1', 'm2'], ['m1', 'm2', 'm3']],
      statuses: ['succeeded', 'succeeded', 'succeeded'],
      takenBy: [null, null, null],
    },
    {
      mode: 'collect',
      calls: [['m1'], ['m1'], ['m1', 'm2', 'm3']],
      statuses: ['succeeded', 'succeeded', 'succeeded'],
      takenBy: [null, null, 1],
    },
    {
      mode: 'steer',
      calls: [['m1'], ['m1', 'm2', 'm3']],
      statuses: ['succeeded', 'succeeded', 'succeeded'],
      takenBy: [null, 0, 0],
    },
    {
      mode: 'steer_backlog',
      calls: [['m1'], ['m1', 'm2', 'm3'], ['m1', 'm2'], ['m1', 'm2', 'm3']],
      statuses: ['succeeded', 'succeeded', 'succeeded'],
      takenBy: [null, 0, 0],
    },
  ];

  it.each(CASES)('$mode: two more inputs while the first reply runs', async ({ mode, calls, statuses, takenBy }) => {
    await engine.setQueue(CONVERSATION, { mode });
    const model = new Model([0]);
    engine.process(model.executor);
    const ids = [await engine.say(CONVERSATION, 'm1')];
    await eventually(() => expect(model.calls).toHaveLength(1));
    ids.push(await engine.say(CONVERSATION, 'm2'), await engine.say(CONVERSATION, 'm3'));
    model.release(0);
    await until(ids, statuses);
    expect(model.calls.map(({ said }) => said)).toEqual(calls);
    const rows = await Promise.all(ids.map(row));
    expect(rows.map((turn) => turn?.delivered_to ?? null)).toEqual(takenBy.map((i) => (i === null ? null : ids[i])));
    const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey: CONVERSATION };
    const [queue] = await engine.store.transaction((tx) => engine.turns.hold(tx, [ref]));
    expect(queue?.pending).toBe(0);
    const reader = new OutboxReader(engine.store);
    await eventually(async () => {
      const { events } = await reader.readAfter({ ...(await reader.head()), xid: '0', id: '0' }, 1_000);
      expect(events.map((event) => event.conversationSeq)).toEqual(events.map((_, i) => i + 1));
      const ends = events.filter(({ type }) => type === 'turn.completed').map(({ turnId }) => turnId);
      expect([...ends].sort()).toEqual([...ids].sort());
    });
  });

  it('interrupt: stops what runs, drops what waits, and starts the newest, which sees everything that was said', async () => {
    await engine.setQueue(CONVERSATION, { mode: 'interrupt' });
    const model = new Model([0, 1]);
    engine.process(model.executor);
    const ids = [await engine.say(CONVERSATION, 'm1')];
    await eventually(() => expect(model.calls).toHaveLength(1));
    ids.push(await engine.say(CONVERSATION, 'm2'));
    await eventually(() => expect(model.calls).toHaveLength(2));
    ids.push(await engine.say(CONVERSATION, 'm3'));
    await until(ids, ['cancelled', 'cancelled', 'succeeded']);
    expect(model.calls.at(-1)?.said).toEqual(['m1', 'm2', 'm3']);
    expect((await row(ids[0] ?? ''))?.cancel_reason).toBe('interrupted by a newer message');
  });

  it('interrupt: cancels what waits before any worker has come', async () => {
    await engine.setQueue(CONVERSATION, { mode: 'interrupt' });
    const ids = [];
    for (const text of ['m1', 'm2', 'm3']) ids.push(await engine.say(CONVERSATION, text));
    expect(await Promise.all(ids.map(status))).toEqual(['cancelled', 'cancelled', 'queued']);
  });

  it('steer: comes after what the tools said, and is a followup when it comes too late', async () => {
    await engine.setQueue(CONVERSATION, { mode: 'steer' });
    const model = new Model([0, 1]);
    engine.process(model.executor);
    const ids = [await engine.say(CONVERSATION, 'm1')];
    await eventually(() => expect(model.calls).toHaveLength(1));
    ids.push(await engine.say(CONVERSATION, 'm2'));
    model.release(0);
    await eventually(() => expect(model.calls).toHaveLength(2));
    expect(model.calls[1]?.order).toBe('m1 assistant tool m2');
    ids.push(await engine.say(CONVERSATION, 'late'));
    model.release(1);
    await until(ids, ['succeeded', 'succeeded', 'succeeded']);
    expect(model.calls.map(({ turnId }) => turnId)).toEqual([ids[0], ids[0], ids[2]]);
    expect(model.calls[2]?.said).toEqual(['m1', 'm2', 'late']);
  });

  it('steer: a worker that takes over sees what was delivered to the one that died, in the same place', async () => {
    await engine.setQueue(CONVERSATION, { mode: 'steer' });
    const model = new Model([0, 1]);
    const processor = engine.process(model.executor);
    const id = await engine.say(CONVERSATION, 'm1');
    await eventually(() => expect(model.calls).toHaveLength(1));
    await engine.say(CONVERSATION, 'm2');
    model.release(0);
    await eventually(() => expect(model.calls).toHaveLength(2));
    await processor.stopClaiming();
    await expireConversations(engine.store);
    const other = new TestEngine(await stores().open());
    const second = new Model([]);
    // As far as this model knows, the tool was asked for by somebody else.
    second.calls.push({ turnId: '', said: [], order: '' });
    other.process(second.executor);
    await until([id], ['succeeded']);
    expect(second.calls[1]?.order).toBe('m1 assistant tool m2');
    await other.stop();
  });

  it('workflows are followups in every mode, and keep their place', async () => {
    await engine.setQueue(CONVERSATION, { mode: 'steer' });
    const model = new Model([0]);
    engine.process(model.executor);
    const ids = [await engine.say(CONVERSATION, 'm1')];
    await eventually(() => expect(model.calls).toHaveLength(1));
    ids.push(await engine.start(CONVERSATION, [cliStep('after', 'read')]));
    model.release(0);
    await until(ids, ['succeeded', 'succeeded']);
    expect((await row(ids[1] ?? ''))?.delivered_to).toBeNull();
    expect(model.executor.requests.at(-1)?.turnId).toBe(ids[1]);
  });

  describe('with room for two', () => {
    it('refuses the third and writes nothing of it, also when all come at once', async () => {
      await engine.setQueue(CONVERSATION, { mode: 'followup', cap: 2 });
      const outcomes = await Promise.allSettled(
        ['a', 'b', 'c', 'd', 'e'].map((text) => engine.say(CONVERSATION, text)),
      );
      const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(refused).toHaveLength(3);
      for (const { reason } of refused) expect(reason).toBeInstanceOf(QueueFullError);
      expect((await engine.reader.list(DEFAULT_TENANT_ID, { statuses: ['queued'], limit: 10 })).turns).toHaveLength(2);
      const id = '11111111-1111-4111-8111-111111111111';
      await expect(engine.say(CONVERSATION, 'again', id)).rejects.toThrow(QueueFullError);
      engine.process(new Model([]).executor);
      await eventually(async () =>
        expect(
          (await engine.reader.list(DEFAULT_TENANT_ID, { statuses: ['succeeded'], limit: 10 })).turns,
        ).toHaveLength(2),
      );
      // The refusal kept no record under its key: the same request finds room later.
      await engine.say(CONVERSATION, 'again', id);
      await until([id], ['succeeded']);
    });

    it('answers a copy of what it took before, full as it is', async () => {
      await engine.setQueue(CONVERSATION, { mode: 'followup', cap: 2 });
      const ids = [await engine.say(CONVERSATION, 'a'), await engine.say(CONVERSATION, 'b')];
      expect(await engine.say(CONVERSATION, 'a', ids[0])).toBe(ids[0]);
      expect((await engine.reader.list(DEFAULT_TENANT_ID, { statuses: ['queued'], limit: 10 })).turns).toHaveLength(2);
      await expect(engine.say(CONVERSATION, 'c')).rejects.toThrow(QueueFullError);
    });

    it('does not fail the requests of other conversations that shared the commit', async () => {
      await engine.setQueue(CONVERSATION, { mode: 'followup', cap: 2 });
      const outcomes = await Promise.allSettled([
        ...['a', 'b', 'c'].map((text) => engine.say(CONVERSATION, text)),
        ...['d', 'e', 'f'].map((text) => engine.say('agent:default:x:dm:other', text)),
      ]);
      expect(outcomes.slice(3).map((outcome) => outcome.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
      expect(outcomes.filter((outcome) => outcome.status === 'rejected')).toHaveLength(1);
    });

    it('drops the oldest where that is wanted, and says so', async () => {
      await engine.setQueue(CONVERSATION, { mode: 'followup', cap: 2, overflow: 'drop_oldest' });
      const ids: string[] = [];
      for (const text of ['a', 'b', 'c', 'd']) ids.push(await engine.say(CONVERSATION, text));
      expect(await Promise.all(ids.map(status))).toEqual(['cancelled', 'cancelled', 'queued', 'queued']);
      expect((await row(ids[0] ?? ''))?.cancel_reason).toBe('the queue was full');
    });
  });
});
