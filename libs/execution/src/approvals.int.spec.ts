import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID, type Action, type Approval } from '@tyrum/protocol';
import { storedEvents } from '@tyrum/outbox/testing';
import type { Statement } from '@tyrum/statestore';
import { describeOnBothDialects, expireConversations, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { ApprovalVerdict } from './approvals';
import type { StepOutcome } from './step-executor';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

const CONVERSATION = 'agent:default:main';
const REF = { tenantId: DEFAULT_TENANT_ID, conversationKey: CONVERSATION };
const OK: StepOutcome = { kind: 'succeeded', result: { output: 'ok' } };
const PATIENCE = { timeoutMs: 30_000 };
const ASKED = { tools: new Set(['CLI']) };

const confirm = (prompt: string): Action => ({ type: 'Confirm', args: { prompt } }) as Action;
const changeStep: Statement = {
  name: 'change-step',
  postgres: `update step set action = replace(action, 'one', 'onf')`,
  sqlite: `update step set action = replace(action, 'one', 'onf')`,
};

describeOnBothDialects('an approval', (stores: () => TestStores) => {
  let engine: TestEngine;
  let executor: ScriptedExecutor;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
    executor = new ScriptedExecutor(() => Promise.resolve(OK));
  });
  afterEach(() => engine.stop());

  const get = (id: string) => engine.reader.get(DEFAULT_TENANT_ID, id);
  const until = (id: string, status: string) =>
    eventually(async () => {
      const turn = await get(id);
      expect(turn?.turn.status).toBe(status);
      return turn;
    }, PATIENCE);
  const list = async (turnId: string) =>
    (await engine.approvals.list(DEFAULT_TENANT_ID, { turnId, limit: 10 })).approvals;
  const asked = (turnId: string, nth = 1): Promise<Approval> =>
    eventually(async () => {
      const [newest, ...older] = await list(turnId);
      if (!newest) throw new Error('nothing is asked');
      expect(older).toHaveLength(nth - 1);
      expect((await get(turnId))?.waiting?.id).toBe(newest.approval_id);
      return newest;
    }, PATIENCE);
  const resolve = async (approvalId: string, verdict: Partial<ApprovalVerdict> = {}, tenantId = DEFAULT_TENANT_ID) => {
    const done = await engine.store.transaction(async (tx) => {
      await tx.lockConversations([REF]);
      return engine.approvals.resolveIn(tx, tenantId, approvalId, { decision: 'approved', by: 'test', ...verdict });
    });
    engine.backplane.publish('work');
    return done;
  };
  const cmds = () => executor.requests.map(({ action }) => (action.args as { cmd: string }).cmd);
  const events = () => engine.store.read(storedEvents);

  it('of a step that asks: shown, given, and the turn goes on', async () => {
    const processor = engine.process(executor);
    const id = await engine.start(CONVERSATION, [confirm('Ship it?'), cliStep('after')]);
    const approval = await asked(id);
    expect(approval).toMatchObject({ kind: 'workflow_step', status: 'awaiting_human', prompt: 'Ship it?' });
    await eventually(() => expect(processor.running).toBe(0), PATIENCE);
    expect((await get(id))?.turn).toMatchObject({ blocked_reason: 'approval', blocked_detail: 'Ship it?' });
    await resolve(approval.approval_id, { reason: 'tested' });
    const turn = await until(id, 'succeeded');
    expect(turn?.steps[0]?.result).toEqual({ approved: true, approval_id: approval.approval_id });
    expect((await list(id))[0]).toMatchObject({ status: 'approved', latest_review: { reason: 'tested' } });
    const told = await events();
    const types = told.map(({ type }) => type);
    expect(types.filter((type) => type === 'approval.updated')).toHaveLength(2);
    expect(told[types.indexOf('turn.blocked')]?.payload).toMatchObject({
      reason: 'approval',
      approval_id: approval.approval_id,
    });
    const seqs = told.flatMap(({ conversationSeq }) => conversationSeq ?? []);
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, i) => i + 1));
  });

  it('of a tool the policy asks for: one execution of exactly what was shown', async () => {
    engine.process(executor, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one'), cliStep('two')]);
    const first = await asked(id);
    expect(first.context).toMatchObject({
      tool_id: 'CLI',
      action: cliStep('one'),
      workspace_id: 'default',
      turn_id: id,
    });
    expect(cmds()).toEqual([]);
    await resolve(first.approval_id);
    const second = await asked(id, 2);
    expect(cmds()).toEqual(['one']);
    await resolve(second.approval_id);
    await until(id, 'succeeded');
    expect(cmds()).toEqual(['one', 'two']);
    expect((await get(id))?.steps.map(({ attempts }) => attempts)).toEqual([1, 1]);
  });

  it('that is denied fails its step with the reason', async () => {
    engine.process(executor, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one')]);
    await resolve((await asked(id)).approval_id, { decision: 'denied', reason: 'too risky' });
    expect((await until(id, 'failed'))?.error).toEqual({ code: 'approval_denied', message: 'too risky' });
    expect(cmds()).toEqual([]);
  });

  it('counts once when it is clicked twice, and a decision is not taken back', async () => {
    engine.process(executor, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one'), cliStep('two')]);
    const { approval_id } = await asked(id);
    await Promise.all([resolve(approval_id), resolve(approval_id), resolve(approval_id)]);
    await asked(id, 2);
    expect((await resolve(approval_id)).approval.status).toBe('approved');
    await expect(resolve(approval_id, { decision: 'denied' })).rejects.toMatchObject({ code: 'conflict' });
    expect(cmds()).toEqual(['one']);
    expect((await events()).filter(({ type }) => type === 'approval.updated')).toHaveLength(3);
  });

  it('that comes too late is refused, and its step fails', async () => {
    engine.process(executor, { policy: { ...ASKED, ttlMs: 1_500 } });
    const id = await engine.start(CONVERSATION, [cliStep('one')]);
    const { approval_id } = await asked(id);
    expect((await until(id, 'failed'))?.error?.code).toBe('wait_timeout');
    expect((await list(id))[0]?.status).toBe('expired');
    await expect(resolve(approval_id)).rejects.toMatchObject({ code: 'conflict' });
    expect(cmds()).toEqual([]);
  });

  it('does not hold for what has changed by one byte since it was shown: that is asked for anew', async () => {
    engine.process(executor, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one')]);
    const { approval_id } = await asked(id);
    await engine.store.execute(changeStep);
    await resolve(approval_id);
    const again = await asked(id, 2);
    expect(again.context).toMatchObject({ action: cliStep('onf') });
    expect(cmds()).toEqual([]);
    await resolve(again.approval_id, { decision: 'denied' });
    await until(id, 'failed');
  });

  it('is not there for another tenant', async () => {
    engine.process(executor, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one')]);
    const { approval_id } = await asked(id);
    await expect(resolve(approval_id, {}, randomUUID())).rejects.toMatchObject({ code: 'not_found' });
    expect((await engine.approvals.list(randomUUID(), { limit: 10 })).approvals).toEqual([]);
    expect((await list(id))[0]?.status).toBe('awaiting_human');
  });

  it.each<['once' | 'read', string]>([
    ['once', 'waits for an operator'],
    ['read', 'is asked for anew'],
  ])('used up by a worker that died before it ran: a step of class %s %s', async (effect) => {
    let died = () => {};
    const dying = new Promise<void>((done) => (died = done));
    let wake = () => {};
    const hangs = new ScriptedExecutor(() => {
      died();
      return new Promise<StepOutcome>((done) => (wake = () => done(OK)));
    });
    const first = engine.process(hangs, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one', effect)]);
    await resolve((await asked(id)).approval_id);
    await dying;
    // It renews nothing any more, and claims nothing: as dead as a process can be inside of a test.
    Object.assign(first, { renew: () => Promise.resolve(), claim: () => Promise.resolve({ more: false }) });
    clearInterval((first as unknown as { renewal: NodeJS.Timeout }).renewal);
    await expireConversations(engine.store);
    const other = new TestEngine(await stores().open());
    other.process(executor, { policy: ASKED });
    if (effect === 'once') {
      await eventually(async () => expect((await get(id))?.waiting?.kind).toBe('manual'), PATIENCE);
    } else {
      const again = await asked(id, 2);
      expect(cmds()).toEqual([]);
      await resolve(again.approval_id);
      await until(id, 'succeeded');
    }
    expect(cmds()).toEqual(effect === 'once' ? [] : ['one']);
    // Woken up, it finds its lease gone and writes nothing.
    wake();
    await other.stop();
  });

  it('given for always stands for the same action, and for what its patterns say, until it is revoked', async () => {
    engine.process(executor, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one'), cliStep('one'), cliStep('two')]);
    const resolved = await resolve((await asked(id)).approval_id, { mode: 'always' });
    expect(resolved.created_overrides).toMatchObject([{ tool_id: 'CLI', pattern: 'one', workspace_id: 'default' }]);
    const overrides = [{ tool_id: 'CLI', pattern: 't*' }];
    await resolve((await asked(id, 2)).approval_id, { mode: 'always', overrides });
    await until(id, 'succeeded');
    const more = await engine.start(CONVERSATION, [cliStep('three')]);
    await until(more, 'succeeded');
    const elsewhere = 'agent:other:main';
    const other = await engine.start(elsewhere, [cliStep('two'), cliStep('one')]);
    expect((await asked(other)).context).toMatchObject({ action: cliStep('one') });
    for (const { policy_override_id } of await engine.approvals.overrides(DEFAULT_TENANT_ID, { limit: 10 })) {
      await engine.approvals.revokeOverride(DEFAULT_TENANT_ID, policy_override_id);
    }
    const last = await engine.start(CONVERSATION, [cliStep('one')]);
    await asked(last);
  });

  it('is void when its turn is cancelled', async () => {
    engine.process(executor, { policy: ASKED });
    const id = await engine.start(CONVERSATION, [cliStep('one')]);
    const { approval_id } = await asked(id);
    await engine.control.cancel(DEFAULT_TENANT_ID, id);
    expect((await list(id))[0]?.status).toBe('cancelled');
    await expect(resolve(approval_id)).rejects.toMatchObject({ code: 'conflict' });
    expect(cmds()).toEqual([]);
  });
});
