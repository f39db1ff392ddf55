import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { describeOnBothDialects, expireConversations, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { StepOutcome } from './step-executor';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';
import type { OpenStepDecision } from './turn-redrive';

const OK: StepOutcome = { kind: 'succeeded', result: { output: 'ok' } };
const CONVERSATION = 'agent:default:main';
const MAX_ATTEMPTS = 5;

describeOnBothDialects('a turn that nobody survives', (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  const cmds = (executor: ScriptedExecutor) =>
    executor.requests.map((request) => (request.action.args as { cmd: string }).cmd);
  const get = async (id: string) => {
    const turn = await engine.reader.get(DEFAULT_TENANT_ID, id);
    if (!turn) throw new Error('the turn is there');
    return turn;
  };
  const until = (id: string, status: string) =>
    eventually(async () => expect((await get(id)).turn.status).toBe(status), { timeoutMs: 10_000 });
  const redrive = async (id: string, decision?: OpenStepDecision) => {
    const found = await engine.store.read((db) => engine.turns.find(db, DEFAULT_TENANT_ID, id));
    if (!found) throw new Error('the turn is there');
    const outcome = await engine.store.transaction((tx) => engine.redrives.redriveIn(tx, found, decision));
    engine.intake.wake();
    return outcome;
  };
  /** Workers that claim and die: before their first commit, so that nothing but the claim itself can have counted. */
  const dieAtClaim = async (times: number) => {
    for (let i = 0; i < times; i += 1) {
      expect(await engine.turns.claim(`dead-${i}`, 60_000, 10)).toHaveLength(1);
      await expireConversations(engine.store);
    }
  };
  /** Workers that die in the turn's second step. */
  const dieInStep = async (times: number, effect: 'read' | 'once') => {
    const id = await engine.start(CONVERSATION, [cliStep('a', 'read'), cliStep('b', effect), cliStep('c', 'read')]);
    for (let i = 0; i < times; i += 1) {
      const worker = new TestEngine(await stores().open());
      const executor = new ScriptedExecutor(({ action }, { signal }) =>
        (action.args as { cmd: string }).cmd === 'b'
          ? new Promise((resolve) => signal.addEventListener('abort', () => resolve({ kind: 'interrupted' })))
          : Promise.resolve(OK),
      );
      const processor = worker.process(executor, { owner: `dead-${i}` });
      await eventually(() => expect(cmds(executor)).toContain('b'));
      await processor.stopClaiming();
      await expireConversations(engine.store);
      // Its write comes back refused, as that of a worker that wakes up from the dead.
      const taken = await engine.turns.claim(`next-${i}`, 60_000, 1);
      expect(taken[0]?.takenFrom).toBe(`dead-${i}`);
      await worker.stop();
      await expireConversations(engine.store);
    }
    return id;
  };

  it('goes to the dead letters after its last attempt, with its cause, and the next turn runs', async () => {
    const id = await engine.start(CONVERSATION, [cliStep('poison')]);
    const next = await engine.start(CONVERSATION, [cliStep('next')]);
    await dieAtClaim(MAX_ATTEMPTS);
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    engine.process(executor);
    await until(next, 'succeeded');
    expect(cmds(executor)).toEqual(['next']);
    const dead = await get(id);
    expect(dead.turn.status).toBe('failed');
    expect(dead.error?.code).toBe('attempts_exhausted');
    expect(dead.dead?.takeovers.map(({ taken_from }) => taken_from)).toEqual([
      'dead-4',
      'dead-3',
      'dead-2',
      'dead-1',
      'dead-0',
    ]);
    const { turns: list } = await engine.reader.listDead(DEFAULT_TENANT_ID, { limit: 10 });
    expect(list.map(({ turn }) => turn.turn_id)).toEqual([id]);
    expect(list[0]?.dead?.takeovers).toHaveLength(MAX_ATTEMPTS);
  });

  it('is still run by the last worker that may', async () => {
    const id = await engine.start(CONVERSATION, [cliStep('unlucky')]);
    await dieAtClaim(MAX_ATTEMPTS - 1);
    engine.process(new ScriptedExecutor(() => Promise.resolve(OK)));
    await until(id, 'succeeded');
    expect((await get(id)).turn.attempt).toBe(MAX_ATTEMPTS);
  });

  it('forgets the dead of one turn when the next one starts', async () => {
    await engine.start(CONVERSATION, [cliStep('unlucky')]);
    await dieAtClaim(MAX_ATTEMPTS - 1);
    const next = await engine.start(CONVERSATION, [cliStep('next')]);
    engine.process(new ScriptedExecutor(() => Promise.resolve(OK)));
    await until(next, 'succeeded');
    expect((await get(next)).turn.attempt).toBe(1);
  });

  it('is redriven as a new turn that repeats no settled step and keeps its idempotency keys', async () => {
    const id = await dieInStep(3, 'read');
    await dieAtClaim(MAX_ATTEMPTS);
    const first = new ScriptedExecutor(() => Promise.resolve(OK));
    const processor = engine.process(first);
    await until(id, 'failed');
    await processor.stopClaiming();
    expect(await redrive(id)).toMatchObject({ kind: 'redriven' });
    const after = (await get(id)).dead?.redriven_as ?? '';
    expect(await redrive(id)).toEqual({ kind: 'already_redriven', turnId: after });
    expect(await engine.reader.listDead(DEFAULT_TENANT_ID, { limit: 10 })).toEqual({ turns: [] });
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    engine.process(executor);
    await until(after, 'succeeded');
    expect(cmds(executor)).toEqual(['b', 'c']);
    expect((await get(after)).steps.map(({ status }) => status)).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect((await get(id)).turn.status).toBe('failed');
    const keys = await engine.store.read((db) => engine.turns.find(db, DEFAULT_TENANT_ID, after));
    expect(keys?.origin_turn_id).toBe(id);
  });

  it('asks about a `once` step whose outcome nobody knows before it brings the turn back', async () => {
    const id = await dieInStep(1, 'once');
    await dieAtClaim(MAX_ATTEMPTS);
    engine.process(new ScriptedExecutor(() => Promise.resolve(OK)));
    await until(id, 'failed');
    expect(await redrive(id)).toEqual({ kind: 'undecided', stepIndex: 1 });
    const done = await redrive(id, 'done');
    const after = done.kind === 'redriven' ? done.turnId : '';
    await until(after, 'succeeded');
    const { steps } = await get(after);
    expect(steps.map(({ result }) => result)).toEqual([{ output: 'ok' }, { resolved: 'done' }, { output: 'ok' }]);
  });

  it('ends at once when its last step is taken for done', async () => {
    const id = await engine.start(CONVERSATION, [cliStep('only', 'once')]);
    const worker = new TestEngine(await stores().open());
    const stuck = new ScriptedExecutor(
      (_, { signal }) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve({ kind: 'interrupted' }))),
    );
    const processor = worker.process(stuck, { owner: 'stuck' });
    await eventually(() => expect(cmds(stuck)).toEqual(['only']));
    await processor.stopClaiming();
    await expireConversations(engine.store);
    await dieAtClaim(MAX_ATTEMPTS);
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    engine.process(executor);
    await until(id, 'failed');
    const done = await redrive(id, 'done');
    const after = done.kind === 'redriven' ? done.turnId : '';
    const next = await engine.start(CONVERSATION, [cliStep('next')]);
    await until(after, 'succeeded');
    await until(next, 'succeeded');
    expect(cmds(executor)).toEqual(['next']);
    await worker.stop();
  });

  it('is a turn of its own again, whatever starts before it', async () => {
    await engine.setQueue(CONVERSATION, { mode: 'collect' });
    const id = await engine.say(CONVERSATION, 'm1');
    await dieAtClaim(MAX_ATTEMPTS);
    const answer: StepOutcome = { kind: 'succeeded', result: { text: 'answer', calls: [] } };
    const processor = engine.process(new ScriptedExecutor(() => Promise.resolve(answer)));
    await until(id, 'failed');
    await processor.stopClaiming();
    const before = await engine.say(CONVERSATION, 'm2');
    const redriven = await redrive(id);
    const after = redriven.kind === 'redriven' ? redriven.turnId : '';
    const executor = new ScriptedExecutor(() => Promise.resolve(answer));
    engine.process(executor);
    await until(after, 'succeeded');
    expect(executor.requests.map(({ turnId }) => turnId)).toEqual([before, after]);
  });

  it('does not take for done what is safe to run again', async () => {
    const id = await dieInStep(1, 'read');
    await dieAtClaim(MAX_ATTEMPTS);
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    engine.process(executor);
    await until(id, 'failed');
    const done = await redrive(id, 'done');
    await until(done.kind === 'redriven' ? done.turnId : '', 'succeeded');
    expect(cmds(executor)).toEqual(['b', 'c']);
  });

  it('keeps its count of workers when something behind it is cancelled', async () => {
    const id = await engine.start(CONVERSATION, [cliStep('poison')]);
    const behind = await engine.start(CONVERSATION, [cliStep('behind')]);
    await dieAtClaim(MAX_ATTEMPTS);
    await engine.turns.claim('last', 60_000, 10);
    await engine.control.cancel(DEFAULT_TENANT_ID, behind);
    await expireConversations(engine.store);
    engine.process(new ScriptedExecutor(() => Promise.resolve(OK)));
    await until(id, 'failed');
  });

  it('does not bring back what is not dead', async () => {
    const id = await engine.start(CONVERSATION, [cliStep('x')]);
    expect(await redrive(id)).toEqual({ kind: 'not_dead' });
  });
});
