import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID, type Action } from '@tyrum/protocol';
import { describeOnBothDialects, expireConversations, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { StepContext, StepOutcome, StepRequest } from './step-executor';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

const CONVERSATION = 'agent:default:main';
const OK: StepOutcome = { kind: 'succeeded', result: { output: 'ok' } };
const llm = { type: 'Llm', args: { prompt: 'x' } } as Action;

describeOnBothDialects("a turn's budget", (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  const get = (id: string) => engine.reader.get(DEFAULT_TENANT_ID, id);
  const until = (id: string, wanted: string) =>
    eventually(async () => expect((await get(id))?.turn.status).toBe(wanted), { timeoutMs: 10_000 });
  const blocked = async (id: string) => {
    await until(id, 'paused');
    const { turn, waiting } = (await get(id)) ?? {};
    return { reason: turn?.blocked_reason, detail: turn?.blocked_detail, kind: waiting?.kind };
  };
  const start = (steps: readonly Action[], budgets: object) => engine.start(CONVERSATION, steps, randomUUID(), budgets);
  const resolve = (id: string, decision: 'retry' | 'fail') =>
    engine.control.resolve(DEFAULT_TENANT_ID, id, { decision });

  /** Hangs in steps named `hang` until it is stopped, the first time; says why it was. */
  const hanging = (reasons: unknown[]) =>
    new ScriptedExecutor(({ action }: StepRequest, { signal }: StepContext): Promise<StepOutcome> => {
      if ((action.args as { cmd: string }).cmd !== 'hang' || reasons.length > 0) return Promise.resolve(OK);
      return new Promise((done) =>
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason);
          done({ kind: 'interrupted' });
        }),
      );
    });

  it('stops a step when its time is up, and goes on from it when an operator gives it more', async () => {
    const reasons: unknown[] = [];
    const executor = hanging(reasons);
    engine.process(executor);
    const id = await start([cliStep('hang', 'idempotent'), cliStep('after')], { max_duration_ms: 100 });
    expect(await blocked(id)).toMatchObject({ reason: 'budget', kind: 'manual' });
    expect(reasons).toEqual(['budget']);
    // With no time limit to run into while the test is slow.
    const lift = `update turn set budgets = '{"max_duration_ms":600000}'`;
    await engine.store.execute({ name: 'lift', postgres: lift, sqlite: lift });
    expect(await resolve(id, 'retry')).toEqual({ kind: 'resolved' });
    await until(id, 'succeeded');
    expect((await get(id))?.steps.map(({ attempts }) => attempts)).toEqual([2, 1]);
    expect((await get(id))?.turn.budgets?.max_duration_ms).toBe(1_200_000);
  });

  it('is over at the next step when a step that cannot be stopped took all the time', async () => {
    const executor = new ScriptedExecutor(async ({ action }) => {
      // Deaf to its signal.
      if ((action.args as { cmd: string }).cmd === 'slow') await new Promise((done) => setTimeout(done, 60));
      return OK;
    });
    engine.process(executor);
    const id = await start([cliStep('slow'), cliStep('never')], { max_duration_ms: 30 });
    expect((await blocked(id)).detail).toContain('30 ms');
    expect((await get(id))?.steps.map(({ status }) => status)).toEqual(['succeeded', 'queued']);
  });

  it('is not looked at when nothing is left to do', async () => {
    engine.process(
      new ScriptedExecutor(async () => {
        await new Promise((done) => setTimeout(done, 60));
        return OK;
      }),
    );
    const id = await start([cliStep('slow')], { max_duration_ms: 30 });
    await until(id, 'succeeded');
  });

  it('counts the time before a takeover', async () => {
    const never = new ScriptedExecutor(
      (_request, { signal }) =>
        new Promise((done) => signal.addEventListener('abort', () => done({ kind: 'interrupted' }))),
    );
    const loser = engine.process(never);
    const id = await start([cliStep('x', 'read')], { max_duration_ms: 60_000 });
    await eventually(() => expect(never.requests).toHaveLength(1));
    await loser.stopClaiming();
    const sql = `update turn set started_at = started_at - 60001`;
    await engine.store.execute({ name: 'long-ago', postgres: sql, sqlite: sql });
    await expireConversations(engine.store);
    const other = new TestEngine(await stores().open());
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    other.process(executor);
    expect(await blocked(id)).toMatchObject({ reason: 'budget' });
    expect(executor.requests).toEqual([]);
    await other.stop();
  });

  it('ends a turn that an operator gives no more, and lets the next one run', async () => {
    engine.process(hanging([]));
    const id = await start([cliStep('hang', 'idempotent')], { max_duration_ms: 50 });
    const next = await engine.start(CONVERSATION, [cliStep('next')]);
    await blocked(id);
    await resolve(id, 'fail');
    await until(next, 'succeeded');
    expect((await get(id))?.error?.code).toBe('budget_exceeded');
    expect((await get(id))?.steps.map(({ status }) => status)).toEqual(['cancelled']);
  });

  it('counts the tokens of model calls and blocks before the next step', async () => {
    const usage = [{ total_tokens: 60 }, { prompt_tokens: 30, completion_tokens: 11 }, { total_tokens: 1 }];
    const executor = new ScriptedExecutor(({ stepIndex }) =>
      Promise.resolve({ kind: 'succeeded', result: { text: '', calls: [], usage: usage[stepIndex] ?? {} } }),
    );
    engine.process(executor);
    const id = await start([llm, llm, llm], { max_total_tokens: 100 });
    expect(await blocked(id)).toEqual({ reason: 'budget', detail: 'it used 101 tokens of 100', kind: 'manual' });
    expect(executor.requests).toHaveLength(2);
    await resolve(id, 'retry');
    await until(id, 'succeeded');
    expect((await get(id))?.turn.budgets?.max_total_tokens).toBe(201);
  });

  describe('of money', () => {
    const price = { promptMicros: 2.5, completionMicros: 10 };
    /** Each model call costs 1,000 × 2.5 + 300 × 10 = 5,500 micro-dollars. */
    const model = () =>
      new ScriptedExecutor(() => {
        const usage = { prompt_tokens: 1_000, completion_tokens: 300, total_tokens: 1_300 };
        return Promise.resolve({ kind: 'succeeded', result: { output: 'ok', usage } });
      });

    it('is held by what the model costs, and goes on when an operator allows as much again', async () => {
      engine = new TestEngine(await stores().open(), undefined, price);
      engine.process(model());
      const id = await start([llm, llm, llm], { max_usd_micros: 8_000 });
      const told = { reason: 'budget', detail: 'it spent 11000 micro-dollars of 8000', kind: 'manual' };
      expect(await blocked(id)).toEqual(told);
      await resolve(id, 'retry');
      await until(id, 'succeeded');
      expect((await get(id))?.turn.budgets?.max_usd_micros).toBe(19_000);
    });

    it('goes no further than one step with a worker that does not know the price', async () => {
      engine.process(model());
      const id = await start([llm, llm], { max_usd_micros: 8_000 });
      expect((await blocked(id)).detail).toContain('does not know what the model costs');
      expect((await get(id))?.steps.map(({ status }) => status)).toEqual(['succeeded', 'queued']);
    });
  });
});
