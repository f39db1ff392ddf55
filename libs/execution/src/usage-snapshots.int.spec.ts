import { once } from 'node:events';
import { OutboxReader } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID, type Action } from '@tyrum/protocol';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { ModelPrice } from './turn-budget';
import type { StepContext, StepOutcome, StepRequest } from './step-executor';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

const CONVERSATION = 'agent:default:main';
const llm = { type: 'Llm', args: { prompt: 'x' } } as Action;
const said = (usage: unknown, fields: object = {}): StepOutcome =>
  ({ kind: 'succeeded', result: { text: '', calls: [], usage, ...fields } }) as StepOutcome;

describeOnBothDialects('what model calls have used', (stores: () => TestStores) => {
  let engine: TestEngine;

  const open = async (
    run: (request: StepRequest, context: StepContext) => StepOutcome | Promise<StepOutcome>,
    price?: ModelPrice,
  ) => {
    engine = new TestEngine(await stores().open(), undefined, price);
    engine.process(new ScriptedExecutor(async (request, context) => run(request, context)));
  };
  afterEach(() => engine.stop());

  /** The conversation's events up to the turn's end, numbered without a gap; on Postgres a commit may be read a moment later. */
  const eventsUntil = (end: string) =>
    eventually(async () => {
      const reader = new OutboxReader(engine.store);
      const { events } = await reader.readAfter({ ...(await reader.head()), xid: '0', id: '0' }, 1_000);
      expect(events.map(({ type }) => type)).toContain(end);
      expect(events.map(({ conversationSeq }) => conversationSeq)).toEqual(events.map((_, i) => i + 1));
      return events;
    });
  const toldUntil = async (end: string) =>
    (await eventsUntil(end)).filter(({ type }) => type === 'usage.snapshot').map(({ payload }) => payload);

  it('is told once a call, with the model, its tokens and what they cost', async () => {
    const usage = [
      { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 },
      { input_tokens: 1, output_tokens: 2 },
    ];
    await open(({ stepIndex }) => said(usage[stepIndex], { model: 'small' }), {
      promptMicros: 2.5,
      completionMicros: 10,
    });
    const id = await engine.start(CONVERSATION, [llm, llm]);
    const events = await eventsUntil('turn.completed');
    const told = events.filter(({ type }) => type === 'usage.snapshot');
    const call = { turn_id: id, conversation_key: CONVERSATION, model: 'small' };
    expect(told.map(({ payload }) => payload)).toEqual([
      { ...call, step_index: 0, input_tokens: 10, output_tokens: 3, total_tokens: 13, usd_micros: 55 },
      { ...call, step_index: 1, input_tokens: 1, output_tokens: 2, total_tokens: 3, usd_micros: 23 },
    ]);
    expect(told.map(({ scope }) => scope)).toEqual([
      { kind: 'turn', id },
      { kind: 'turn', id },
    ]);
  });

  it('is told of replies in a chat, before the reply that they are for', async () => {
    await open(() => said({ prompt_tokens: 4, completion_tokens: 1 }, { text: 'an answer' }));
    await engine.say(CONVERSATION, 'a question');
    const types = (await eventsUntil('turn.completed')).map(({ type }) => type);
    expect(types.filter((type) => type === 'usage.snapshot')).toHaveLength(1);
    expect(types.indexOf('usage.snapshot')).toBeLessThan(types.lastIndexOf('message.final'));
  });

  it('has no money where the price is not known, and no halves of a bare total', async () => {
    await open(() => said({ total_tokens: 60 }));
    const turn_id = await engine.start(CONVERSATION, [llm]);
    expect(await toldUntil('turn.completed')).toEqual([
      { turn_id, conversation_key: CONVERSATION, step_index: 0, total_tokens: 60 },
    ]);
  });

  it('is not told of where nothing that counts tokens was said, or another step says it', async () => {
    const odd = [undefined, {}, { total_tokens: '7' }, { prompt_tokens: -1, completion_tokens: 0.5 }, 'many'];
    await open(({ stepIndex }) => said(stepIndex < odd.length ? odd[stepIndex] : { total_tokens: 9 }));
    await engine.start(CONVERSATION, [...odd.map(() => llm), cliStep('x')]);
    expect(await toldUntil('turn.completed')).toEqual([]);
  });

  it('is told of each attempt that came to a result', async () => {
    await open(({ attempt }) => {
      if (attempt > 2) return said({ total_tokens: 3 });
      // It comes to nothing, and the step still has the first one's result.
      if (attempt === 2) return { kind: 'interrupted' };
      const error = { code: 'http_500', message: 'again' };
      return { kind: 'failed', error, retryable: true, result: { usage: { total_tokens: 5 } } };
    });
    await engine.start(CONVERSATION, [llm]);
    expect(await toldUntil('turn.completed')).toMatchObject([{ total_tokens: 5 }, { total_tokens: 3 }]);
  });

  it('is told of a call that came back after its turn was cancelled', async () => {
    await open(async ({ turnId }, { signal }) => {
      const stopped = once(signal, 'abort');
      await engine.control.cancel(DEFAULT_TENANT_ID, turnId);
      await stopped;
      return said({ total_tokens: 8 });
    });
    // A workflow that begins with a call may be cancelled with nothing of it written yet; then there is no result to tell with.
    const turn_id = await engine.say(CONVERSATION, 'a question');
    expect(await toldUntil('turn.cancelled')).toMatchObject([{ turn_id, total_tokens: 8 }]);
  });
});
