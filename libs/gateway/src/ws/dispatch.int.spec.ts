import { randomUUID } from 'node:crypto';
import type { StepExecutor, StepOutcome, StepRequest } from '@tyrum/execution';
import { TestEngine } from '@tyrum/execution/testing';
import { Dispatches, isForNodes } from '@tyrum/nodes';
import { DEFAULT_TENANT_ID, type Action, type EffectClass } from '@tyrum/protocol';
import { portable } from '@tyrum/statestore';
import { Tenants } from '@tyrum/statestore/records';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

const CONVERSATION = 'agent:default:main';
const PATIENCE = { timeoutMs: 30_000 };
const READ = { id: 'tyrum.fs.read', version: '1.0.0' };
const CLICK = { id: 'tyrum.desktop.click', version: '1.0.0' };

const read = (args: Record<string, unknown> = {}): Action =>
  ({ type: 'Node', args: { capability: READ.id, effect: 'read', ...args } }) as Action;
const click = (args: Record<string, unknown> = {}): Action =>
  ({ type: 'Desktop', args: { op: 'click', ...args } }) as Action;

/** What the tools library does for nodes, as far as these tests need it. */
class DispatchingExecutor implements StepExecutor {
  constructor(
    private readonly dispatches: Dispatches,
    private readonly committed: () => void,
  ) {}

  handles(action: Action): boolean {
    return isForNodes(action);
  }

  execute(request: StepRequest): Promise<StepOutcome> {
    const { committed } = this;
    const alongside = {
      writeIn: (tx: Parameters<Dispatches['openIn']>[0]) => this.dispatches.openIn(tx, request),
      committed,
    };
    return Promise.resolve({ kind: 'waiting', wait: { kind: 'node', id: Dispatches.idOf(request) }, alongside });
  }
}

describe.each(['sqlite', 'postgres'] as const)('an action for a node on %s', (database) => {
  let edge: TestEdge;
  let other: TestEdge;
  let engine: TestEngine;
  let operator: TestClient;
  let nodeToken: string;

  beforeEach(async () => {
    edge = await startTestEdge({ database });
    other = await startTestEdge({ database: { url: edge.databaseUrl } });
    engine = new TestEngine(edge.store, edge.backplane);
    const { store, backplane } = edge;
    const dispatches = new Dispatches({ store, backplane, waits: engine.waits, newId: randomUUID });
    engine.process(new DispatchingExecutor(dispatches, () => backplane.publish('directed')));
    operator = await TestClient.connect(edge.socketUrl, await edge.issue());
    nodeToken = await edge.issue({ role: 'node' });
  });
  afterEach(async () => {
    await engine.stop();
    await other.stop();
    await edge.stop();
  });

  interface NodeWish {
    readonly device?: TestDevice;
    readonly at?: TestEdge;
    readonly capabilities?: readonly { id: string; version: string }[];
    /** Memory of one process, told in `capability.ready`. */
    readonly journal?: string;
  }
  const connect = async ({ device = new TestDevice(), at = edge, capabilities = [READ, CLICK], journal }: NodeWish) => {
    const node = await TestClient.connect(at.socketUrl, nodeToken, { device, role: 'node', capabilities });
    const capability_states = journal === undefined ? [] : [{ dispatch_journal: 'memory', instance: journal }];
    await node.request('capability.ready', { capabilities, capability_states });
    return node;
  };
  const approve = async (device: TestDevice, allowlist = [READ, CLICK]) => {
    const { payload } = await operator.event(
      'pairing.updated',
      (e) => e.payload.pairing.node.node_id === device.deviceId,
    );
    const { pairing_id } = payload.pairing;
    const answer = await operator.request('pairing.approve', {
      pairing_id,
      trust_level: 'local',
      capability_allowlist: allowlist,
    });
    expect(answer.ok).toBe(true);
  };
  const approved = async (wish: NodeWish = {}) => {
    const device = wish.device ?? new TestDevice();
    const node = await connect({ ...wish, device });
    await approve(device);
    return { node, device };
  };
  const asked = (node: TestClient, nth = 1) =>
    eventually(async () => {
      const ask = node.asks('task.execute')[nth - 1];
      if (!ask) throw new Error(`asked ${node.asks('task.execute').length} times`);
      return ask;
    }, PATIENCE);
  const answer = (node: TestClient, dispatchId: string, result: unknown) =>
    node.send({ request_id: dispatchId, type: 'task.execute', ok: true, result });
  const get = (id: string) => engine.reader.get(DEFAULT_TENANT_ID, id);
  const until = (id: string, status: string) =>
    eventually(async () => {
      const turn = await get(id);
      expect(turn?.turn.status).toBe(status);
      return turn;
    }, PATIENCE);
  const waits = (id: string, detail: string | RegExp) =>
    eventually(async () => expect((await get(id))?.turn.blocked_detail).toMatch(detail), PATIENCE);
  const queue = async () => {
    const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey: CONVERSATION };
    return (await engine.store.transaction((tx) => engine.turns.hold(tx, [ref])))[0];
  };

  it('goes to the node that can do it, holds no worker meanwhile, and goes on with its answer', async () => {
    const { node } = await approved();
    const id = await engine.start(CONVERSATION, [click({ x: 1 })]);
    const { payload, request_id } = (await asked(node)) as unknown as {
      payload: Record<string, unknown>;
      request_id: string;
    };
    expect(payload).toEqual({ turn_id: id, dispatch_id: request_id, action: click({ x: 1 }) });
    await eventually(async () => expect(await queue()).toMatchObject({ state: 'parked', lease_owner: null }), PATIENCE);
    await waits(id, /^sent to node dev_/);
    answer(node, request_id, { result: { ok: 1 }, evidence: ['seen'] });
    expect((await until(id, 'succeeded'))?.steps[0]?.result).toEqual({ output: { ok: 1 }, evidence: ['seen'] });
    answer(node, request_id, { result: { ok: 2 } });
    const last = await engine.start(CONVERSATION, [click()]);
    answer(node, (await asked(node, 2)).request_id ?? '', { result: { ok: 3 } });
    await until(last, 'succeeded');
    expect((await get(id))?.steps[0]?.result).toEqual({ output: { ok: 1 }, evidence: ['seen'] });
  });

  it('waits for a node to come, to be approved, and to be allowed that capability', async () => {
    const id = await engine.start(CONVERSATION, [read()]);
    await waits(id, 'waits for an approved node with tyrum.fs.read');
    const strange = new TestDevice();
    const stranger = await connect({ device: strange });
    const { node: clicker } = await approved({ capabilities: [CLICK] });
    const { node: newer } = await approved({ capabilities: [{ ...READ, version: '2.0.0' }] });
    await approve(strange, [CLICK]);
    await stranger.event('pairing.updated', (e) => e.payload.pairing.status === 'approved');
    await approve(strange, [READ]);
    const { request_id } = await asked(stranger);
    expect([...clicker.asks('task.execute'), ...newer.asks('task.execute')]).toEqual([]);
    answer(stranger, request_id ?? '', { result: 'text' });
    expect((await until(id, 'succeeded'))?.steps[0]?.result).toEqual({ output: 'text' });
  });

  it('asks no node of another tenant, and takes no answer from one', async () => {
    const tenantId = await edge.newTenant();
    const foreign = await edge.issue({ tenantId, role: 'node' });
    const device = new TestDevice();
    const stranger = await TestClient.connect(edge.socketUrl, foreign, { device, role: 'node', capabilities: [READ] });
    const admin = await TestClient.connect(edge.socketUrl, await edge.issue({ tenantId }));
    const { payload } = await stranger.event('pairing.updated');
    const { pairing_id } = payload.pairing;
    await admin.request('pairing.approve', { pairing_id, trust_level: 'local', capability_allowlist: [READ] });
    await stranger.event('pairing.updated', (e) => e.payload.pairing.status === 'approved');
    const id = await engine.start(CONVERSATION, [read()]);
    await waits(id, 'waits for an approved node');
    const { node } = await approved();
    const { request_id = '' } = await asked(node);
    answer(stranger, request_id, { result: 'forged' });
    await stranger.request('ping');
    expect(stranger.asks('task.execute')).toEqual([]);
    answer(node, request_id, { result: 'true' });
    expect((await until(id, 'succeeded'))?.steps[0]?.result).toEqual({ output: 'true' });
  });

  it('is sent again under the same id to a node that remembers, by whatever edge it comes back to', async () => {
    const { node, device } = await approved({ journal: 'process-1' });
    const id = await engine.start(CONVERSATION, [click()]);
    const { request_id = '' } = await asked(node);
    await node.close();
    const back = await connect({ device, at: other, journal: 'process-1' });
    expect((await asked(back)).request_id).toBe(request_id);
    answer(back, request_id, { result: 'done once' });
    expect((await until(id, 'succeeded'))?.steps[0]?.result).toEqual({ output: 'done once' });
  });

  it('takes the answer of a node that comes back without being asked again', async () => {
    const { node, device } = await approved();
    const id = await engine.start(CONVERSATION, [click()]);
    const { request_id = '' } = await asked(node);
    await node.close();
    await waits(id, /waits for node dev_\S+ to come back/);
    const back = await connect({ device, at: other });
    answer(back, request_id, { result: 'late' });
    await until(id, 'succeeded');
    expect(back.asks('task.execute')).toEqual([]);
  });

  it.each<[EffectClass, string | undefined]>([
    ['once', undefined],
    ['once', 'another process'],
  ])(
    'is never repeated by a node that forgets: %s, journal %s; the turn waits for an operator',
    async (effect, journal) => {
      const { node, device } = await approved({ ...(journal ? { journal: 'process-1' } : {}) });
      const id = await engine.start(CONVERSATION, [click({ effect, timeout_ms: 4_000 })]);
      await asked(node);
      await node.close();
      const back = await connect({ device, ...(journal ? { journal } : {}) });
      const { node: idle } = await approved();
      const parked = await eventually(async () => {
        const turn = await get(id);
        expect(turn?.waiting?.kind).toBe('manual');
        return turn;
      }, PATIENCE);
      expect(parked?.turn.blocked_detail).toMatch('outcome unknown');
      expect([...back.asks('task.execute'), ...idle.asks('task.execute')]).toEqual([]);
      await engine.control.resolve(DEFAULT_TENANT_ID, id, { decision: 'retry' });
      // The operator's word makes it another attempt, and that has another id.
      expect(
        (
          await eventually(async () => {
            const asks = [...back.asks('task.execute'), ...idle.asks('task.execute')];
            expect(asks).toHaveLength(1);
            return asks[0];
          }, PATIENCE)
        )?.request_id,
      ).not.toBe(node.asks('task.execute')[0]?.request_id);
    },
  );

  it('keeps what the node saw as an artifact of the turn, from the node that was asked alone', async () => {
    const { node } = await approved();
    const id = await engine.start(CONVERSATION, [click()]);
    const { request_id: dispatch_id } = await asked(node);
    const { node: stranger } = await approved({ capabilities: [] });
    const evidence = { dispatch_id, turn_id: id, evidence: { pixels: 3 } };
    expect((await stranger.request('attempt.evidence', evidence)).error?.code).toBe('not_found');
    const copies = ['same', 'same'].map((request) => node.request('attempt.evidence', evidence, request));
    expect((await Promise.all(copies)).map(({ ok }) => ok)).toEqual([true, true]);
    const attached = await operator.event('artifact.attached', (e) => e.payload.turn_id === id);
    expect(attached.payload).toMatchObject({
      artifact: { filename: 'evidence-0.json', mime_type: 'application/json' },
    });
    await operator.request('ping');
    expect(operator.events().filter(({ type }) => type === 'artifact.attached')).toHaveLength(1);
    const { external_url: url } = attached.payload.artifact;
    const headers = { authorization: `Bearer ${await edge.issue()}` };
    expect(await (await fetch(`${edge.httpUrl}${url}`, { headers })).json()).toEqual({ pixels: 3 });
  });

  it('goes on without evidence that its tenant has no room for, and says so', async () => {
    const { node } = await approved();
    const id = await engine.start(CONVERSATION, [click()]);
    const { request_id: dispatch_id = '' } = await asked(node);
    const allow = (max_stored_bytes: number | null) =>
      edge.store.transaction((tx) =>
        tx.records(Tenants).update({ tenant_id: DEFAULT_TENANT_ID }, { max_stored_bytes }),
      );
    await allow(10);
    const refused = await node.request('attempt.evidence', { dispatch_id, evidence: { pixels: '0123456789' } });
    expect(refused.error).toMatchObject({
      code: 'conflict',
      details: { rule: 'max_stored_bytes', max_stored_bytes: 10 },
    });
    const told = await operator.event('error');
    expect([told.scope, told.payload]).toEqual([
      { kind: 'turn', turn_id: id },
      {
        code: 'conflict',
        message: expect.stringContaining('evidence-0.json was not kept: max_stored_bytes') as string,
      },
    ]);
    answer(node, dispatch_id, { result: 'clicked', evidence: ['seen'] });
    const turn = await until(id, 'succeeded');
    expect(turn?.steps[0]?.result).toEqual({ output: 'clicked', evidence: ['seen'] });
  });

  it.each([
    ['once', 'unknown'],
    ['read', 'failed'],
  ])('tells the node to stop when its turn is cancelled, at whatever edge: %s', async (effect, kind) => {
    const { node } = await approved({ at: other });
    const id = await engine.start(CONVERSATION, [effect === 'read' ? read() : click({ effect })]);
    const { request_id: dispatch_id = '' } = await asked(node);
    const outcome = async () => {
      const [row] = await edge.store.execute<{ state: string; outcome: string }>(
        portable('test', `select state, outcome from dispatch where dispatch_id = '${dispatch_id}'`),
      );
      return [row?.state, JSON.parse(row?.outcome ?? 'null') as unknown];
    };
    expect((await operator.request('workflow.cancel', { workflow_run_id: id })).ok).toBe(true);
    const told = await eventually(() => {
      const [ask] = node.asks('task.cancel');
      if (!ask) throw new Error('not told yet');
      return Promise.resolve(ask);
    }, PATIENCE);
    expect(told.payload).toEqual({ turn_id: id, dispatch_id, reason: 'its turn has ended' });
    expect(await outcome()).toEqual(['cancelled', expect.objectContaining({ kind })]);
    // An older node refuses what it does not know. Its own word about the action counts whenever it comes.
    const error = { code: 'invalid_request', message: 'a node answers task.execute' };
    node.send({ request_id: told.request_id, type: 'task.cancel', ok: false, error });
    answer(node, dispatch_id, { result: 'done all the same' });
    await eventually(async () => {
      expect(await outcome()).toEqual(['cancelled', { kind: 'succeeded', result: { output: 'done all the same' } }]);
    }, PATIENCE);
    expect((await get(id))?.turn.status).toBe('cancelled');
    expect(node.asks('task.cancel')).toHaveLength(1);
  });

  it('tells the node to stop when its time is over', async () => {
    const { node } = await approved();
    const id = await engine.start(CONVERSATION, [read({ timeout_ms: 1_000 })]);
    const { request_id: dispatch_id } = await asked(node);
    await until(id, 'failed');
    await eventually(() => {
      expect(node.asks('task.cancel').map(({ payload }) => payload)).toEqual([
        { turn_id: id, dispatch_id, reason: 'its time is over' },
      ]);
      return Promise.resolve();
    }, PATIENCE);
  });

  it('goes to another node when it is safe to repeat', async () => {
    const { node } = await approved();
    const id = await engine.start(CONVERSATION, [read()]);
    const { request_id = '' } = await asked(node);
    const { node: second } = await approved({ at: other });
    await node.close();
    expect((await asked(second)).request_id).toBe(request_id);
    answer(node.socket.readyState === 1 ? node : second, request_id, { result: 'x' });
    await until(id, 'succeeded');
  });

  it('parks for an operator when the node says that it does not know', async () => {
    const { node } = await approved();
    const id = await engine.start(CONVERSATION, [click()]);
    const { request_id } = await asked(node);
    const error = { code: 'internal', message: 'it began and never ended', details: { outcome: 'unknown' } };
    node.send({ request_id, type: 'task.execute', ok: false, error });
    await eventually(async () => expect((await get(id))?.waiting?.kind).toBe('manual'), PATIENCE);
    expect((await get(id))?.turn.blocked_detail).toMatch('it began and never ended');
  });

  it('fails with the node’s own words, and with ours when the answer is none', async () => {
    const { node } = await approved();
    const first = await engine.start(CONVERSATION, [click()]);
    const { request_id } = await asked(node);
    node.send({ request_id, type: 'task.execute', ok: false, error: { code: 'forbidden', message: 'locked screen' } });
    expect((await until(first, 'failed'))?.error).toMatchObject({ code: 'node_forbidden', message: 'locked screen' });
    const second = await engine.start(CONVERSATION, [click()]);
    answer(node, (await asked(node, 2)).request_id ?? '', { surprise: 1 });
    expect((await until(second, 'failed'))?.error?.code).toBe('node_bad_answer');
  });

  it('comes to an end at its deadline, with or without a node', async () => {
    const lonely = await engine.start('agent:default:x:dm:1', [click({ timeout_ms: 300 })]);
    expect((await until(lonely, 'failed'))?.error?.code).toBe('no_capable_node');
    const { node } = await approved();
    const slow = await engine.start('agent:default:x:dm:2', [read({ timeout_ms: 1_500 })]);
    await asked(node);
    expect((await until(slow, 'failed'))?.error?.code).toBe('node_timeout');
  });

  it('is not sent any more once its turn is cancelled', async () => {
    const id = await engine.start(CONVERSATION, [read()]);
    await waits(id, 'waits for an approved node');
    await engine.control.cancel(DEFAULT_TENANT_ID, id);
    const next = await engine.start(CONVERSATION, [read({ path: 'next' })]);
    const { node } = await approved();
    const ask = await asked(node);
    expect(ask.payload.turn_id).toBe(next);
    answer(node, ask.request_id ?? '', { result: 1 });
    await until(next, 'succeeded');
    expect(node.asks('task.execute')).toHaveLength(1);
  });
});
