import { randomUUID } from 'node:crypto';
import type { Progress } from '@modelcontextprotocol/sdk/types.js';
import { ScriptedExecutor, TestEngine } from '@tyrum/execution/testing';
import { LIMITS } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { McpTestClient, startTestEdge, type TestEdge } from '../testing';

const step = (cmd: string, effect = 'read') => ({ type: 'CLI', args: { cmd, args: [], effect } });

describe.each(['sqlite', 'postgres'] as const)('the Model Context Protocol on %s', (database) => {
  let edge: TestEdge;
  let other: TestEdge;
  let token: string;
  let mcp: McpTestClient;
  let there: McpTestClient;
  let engine: TestEngine;
  const gates = new Map<string, () => void>();

  beforeAll(async () => {
    edge = await startTestEdge({ database });
    other = await startTestEdge({ database: { url: edge.databaseUrl }, home: edge.home });
    token = await edge.issue();
    mcp = await McpTestClient.connect(edge.httpUrl, token);
    there = await McpTestClient.connect(other.httpUrl, token);
    engine = new TestEngine(edge.store, edge.backplane);
    const executor = new ScriptedExecutor(async ({ action }, { signal }) => {
      const { cmd } = action.args as { cmd: string };
      if (cmd.startsWith('hold')) {
        await new Promise<void>((resolve) => {
          gates.set(cmd, resolve);
          signal.addEventListener('abort', () => resolve());
        });
      }
      if (signal.aborted) return { kind: 'interrupted' };
      if (cmd === 'lost') return { kind: 'unknown', detail: 'nobody saw' };
      return { kind: 'succeeded', result: { output: cmd } };
    });
    engine.process(executor);
  });
  afterAll(async () => {
    for (const open of gates.values()) open();
    await Promise.all([mcp.close(), there.close()]);
    await engine.stop();
    await other.stop();
    await edge.stop();
  });

  const conversation = () => `agent:default:x:dm:${randomUUID()}`;
  const start = async (steps: object[], client = mcp): Promise<string> =>
    (await client.call('start_turn', { conversation_key: conversation(), steps })).value.workflow_run_id as string;
  const waitsAt = async ({ httpUrl }: TestEdge): Promise<number> => {
    const metrics = await (await fetch(`${httpUrl}/metrics`)).text();
    return Number(/^tyrum_gateway_turn_waits (\d+)$/m.exec(metrics)?.[1]);
  };
  const release = (name: string) =>
    eventually(() => {
      expect(gates.has(name)).toBe(true);
      gates.get(name)?.();
    });

  it('shows its tools with what they take and what may be assumed of them', async () => {
    const { tools } = await mcp.client.listTools();
    expect(tools.map(({ name }) => name).sort()).toMatchInlineSnapshot(`
     [
       "cancel_turn",
       "create_conversation",
       "get_conversation",
       "get_turn",
       "list_approvals",
       "list_artifacts",
       "list_conversations",
       "list_turns",
       "resolve_approval",
       "resolve_step",
       "send_message",
       "start_turn",
       "wait_for_turn",
     ]
    `);
    const named = new Map(tools.map((tool) => [tool.name, tool]));
    expect(named.get('get_turn')?.annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false });
    expect(named.get('start_turn')?.annotations).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    expect(named.get('start_turn')?.inputSchema).toMatchObject({
      required: ['conversation_key', 'steps'],
      additionalProperties: false,
      properties: { idempotency_key: { maxLength: LIMITS.idempotencyKeyLength } },
      $defs: expect.any(Object),
    });
    for (const { description, annotations } of tools) {
      expect(description?.length).toBeGreaterThan(20);
      expect(annotations?.title?.length).toBeGreaterThan(3);
    }
  });

  it('starts one turn for one key, at whichever edge, and holds the key to its arguments', async () => {
    const args = { conversation_key: conversation(), steps: [step('echo')], idempotency_key: randomUUID() };
    const answers = await Promise.all([mcp, there, mcp, there].map((client) => client.call('start_turn', args)));
    expect(new Set(answers.map(({ value }) => value.workflow_run_id)).size).toBe(1);
    expect(await there.refused('start_turn', { ...args, steps: [step('other')] })).toBe('conflict');
    const { value } = await mcp.call('list_turns', { limit: 200 });
    const mine = (value.turns as { conversation_key: string }[]).filter(
      ({ conversation_key }) => conversation_key === args.conversation_key,
    );
    expect(mine).toHaveLength(1);
  });

  it('waits at one edge for what was started at another, and tells how it goes', async () => {
    const [one, two] = [`hold-${randomUUID()}`, `hold-${randomUUID()}`];
    const turn_id = await start([step(one), step(two)]);
    const heard: Progress[] = [];
    const waiting = there.call('wait_for_turn', { turn_id, until: 'end' }, { onprogress: (p) => heard.push(p) });
    await release(one);
    await release(two);
    expect((await waiting).value).toMatchObject({ outcome: 'ended', turn: { turn_id, status: 'succeeded' } });
    expect(heard.length).toBeGreaterThan(0);
    expect(heard.map(({ progress }) => progress)).toEqual([...heard.map(({ progress }) => progress)].sort());
    const read = await mcp.call('get_turn', { turn_id });
    expect(read.value.steps.map((s: { result: { output: string } }) => s.result.output)).toEqual([one, two]);
    expect((await mcp.call('wait_for_turn', { turn_id })).value.outcome).toBe('ended');
  });

  it('comes back with a turn that goes on when the time is over', async () => {
    const name = `hold-${randomUUID()}`;
    const turn_id = await start([step(name)]);
    const { value } = await mcp.call('wait_for_turn', { turn_id, timeout_ms: 100 });
    expect(value).toMatchObject({ outcome: 'running', turn: { turn_id } });
    await release(name);
  });

  it('says when a turn needs somebody, and takes the decision', async () => {
    const turn_id = await start([{ type: 'Confirm', args: { prompt: 'Ship it?' } }, step('shipped')]);
    expect((await there.call('wait_for_turn', { turn_id })).value.outcome).toBe('attention');
    const { approvals } = (await mcp.call('list_approvals', { turn_id })).value;
    expect(approvals).toMatchObject([{ prompt: expect.stringContaining('Ship it?'), scope: { turn_id } }]);
    const decision = { approval_id: approvals[0].approval_id, decision: 'approved', idempotency_key: randomUUID() };
    const decided = await Promise.all([mcp, there].map((client) => client.call('resolve_approval', decision)));
    for (const { value } of decided) expect(value).toMatchObject({ approval: { status: 'approved' } });
    expect((await mcp.call('wait_for_turn', { turn_id })).value).toMatchObject({ turn: { status: 'succeeded' } });
  });

  it('settles a step whose outcome is unknown', async () => {
    const turn_id = await start([step('lost', 'once')]);
    expect((await mcp.call('wait_for_turn', { turn_id })).value).toMatchObject({
      outcome: 'attention',
      turn: { blocked_reason: 'manual' },
    });
    const wrong = { turn_id, decision: 'retry', result: {} };
    expect(await mcp.refused('resolve_step', wrong)).toBe('invalid_request');
    const settled = await there.call('resolve_step', { turn_id, decision: 'done', result: { output: 'seen' } });
    expect(settled.value).toEqual({ turn_id, decision: 'done' });
    expect((await mcp.call('wait_for_turn', { turn_id, until: 'end' })).value.turn.status).toBe('succeeded');
    expect(await mcp.refused('resolve_step', { turn_id, decision: 'done' })).toBe('conflict');
  });

  it('cancels a turn', async () => {
    const turn_id = await start([step(`hold-${randomUUID()}`)]);
    expect((await there.call('cancel_turn', { turn_id, reason: 'no' })).value).toEqual({ turn_id, cancelled: true });
    expect((await mcp.call('wait_for_turn', { turn_id, until: 'end' })).value.turn.status).toBe('cancelled');
    expect((await mcp.call('cancel_turn', { turn_id })).value.cancelled).toBe(false);
  });

  it('creates conversations, sends to them and reads them, as tools and as resources', async () => {
    const key = { idempotency_key: randomUUID() };
    const [made, again] = await Promise.all([mcp, there].map((client) => client.call('create_conversation', key)));
    const conversation_id = made?.value.conversation.conversation_id as string;
    expect(again?.value.conversation.conversation_id).toBe(conversation_id);
    const upload = await fetch(`${edge.httpUrl}/v1/artifacts?filename=a.txt`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' },
      body: 'attached',
    });
    const { uri } = (await upload.json()) as { uri: string };
    const message = { conversation_id, text: 'hello', artifacts: [uri], idempotency_key: randomUUID() };
    const [sent, copy] = await Promise.all([mcp, there].map((client) => client.call('send_message', message)));
    expect(copy?.value).toEqual(sent?.value);
    const turn_id = sent?.value.turn_id as string;
    const { value } = await mcp.call('get_conversation', { conversation_id });
    expect(value.conversation.messages).toMatchObject([
      {
        role: 'user',
        parts: [
          { type: 'text', text: 'hello' },
          { type: 'file', url: uri },
        ],
      },
    ]);
    expect((await mcp.call('list_conversations')).value.conversations[0].conversation_id).toBe(conversation_id);
    expect((await mcp.call('list_artifacts', { turn_id })).value.artifacts).toMatchObject([{ uri, filename: 'a.txt' }]);

    const { resourceTemplates } = await mcp.client.listResourceTemplates();
    expect(resourceTemplates.map(({ name }) => name)).toEqual(['artifact', 'conversation']);
    const { resources } = await there.client.listResources();
    const found = resources.find(({ name }) => name === conversation_id);
    const { contents } = await there.client.readResource({ uri: found?.uri ?? '' });
    expect(JSON.parse((contents[0] as { text: string }).text)).toMatchObject({ conversation_id });
    expect((await there.client.readResource({ uri })).contents).toEqual([
      { uri, mimeType: 'text/plain', text: 'attached' },
    ]);
    await expect(mcp.client.readResource({ uri: 'artifact://x' })).rejects.toMatchObject({ code: -32002 });
  });

  it('hands out bytes that are no text as such, and none of what is too large', async () => {
    const upload = async (body: Buffer): Promise<string> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'text/plain' };
      const answer = await fetch(`${edge.httpUrl}/v1/artifacts`, { method: 'POST', headers, body });
      return ((await answer.json()) as { uri: string }).uri;
    };
    const uri = await upload(Buffer.from([0xff, 0xfe, 0]));
    expect((await mcp.client.readResource({ uri })).contents).toEqual([{ uri, mimeType: 'text/plain', blob: '//4A' }]);
    const large = await upload(Buffer.alloc(LIMITS.mcpResourceBytes + 1));
    await expect(mcp.client.readResource({ uri: large })).rejects.toThrow('/content');
  });

  it('names the argument that is wrong, and the tool that is not there', async () => {
    const { isError, value } = await mcp.call('start_turn', { conversation_key: 'x', steps: [] });
    expect([isError, value.error.code]).toEqual([true, 'contract_error']);
    expect(value.error.details.map(({ field }: { field: string }) => field)).toEqual(['arguments.steps']);
    expect(await mcp.refused('get_turn', { turn_id: randomUUID(), extra: 1 })).toBe('contract_error');
    expect(await mcp.refused('wait_for_turn', { turn_id: randomUUID(), timeout_ms: 60_001 })).toBe('contract_error');
    expect(await mcp.refused('wait_for_turn', { turn_id: randomUUID() })).toBe('not_found');
    await expect(mcp.call('constructor')).rejects.toMatchObject({ code: -32602 });
  });

  describe('a wait', () => {
    let turn_id: string;
    const name = `hold-${randomUUID()}`;
    beforeAll(async () => void (turn_id = await start([step(name)])));
    afterAll(() => release(name));
    const long = { timeout_ms: LIMITS.mcpWaitMs, until: 'end' };

    it('ends when the call is taken back, and that one alone', async () => {
      const beside = await McpTestClient.connect(edge.httpUrl, token);
      const away = new AbortController();
      const taken = mcp.call('wait_for_turn', { turn_id, ...long }, { signal: away.signal });
      await eventually(async () => expect(await waitsAt(edge)).toBe(1));
      const kept = beside.call('wait_for_turn', { turn_id, timeout_ms: 6_000 });
      await eventually(async () => expect(await waitsAt(edge)).toBe(2));
      away.abort();
      await expect(taken).rejects.toThrow();
      await eventually(async () => expect(await waitsAt(edge)).toBe(1), { timeoutMs: 2_000 });
      expect((await kept).value.outcome).toBe('running');
      await beside.close();
    });

    it('ends when its client is gone', async () => {
      const gone = await McpTestClient.connect(edge.httpUrl, token);
      const waiting = gone.call('wait_for_turn', { turn_id, ...long }).catch(() => 'gone');
      await eventually(async () => expect(await waitsAt(edge)).toBe(1));
      await gone.close();
      await waiting;
      await eventually(async () => expect(await waitsAt(edge)).toBe(0), { timeoutMs: 2_000 });
    });

    it('is for as many turns as a token may, and tells nothing to a token that was revoked meanwhile', async () => {
      const uses = await edge.issue();
      const client = await McpTestClient.connect(edge.httpUrl, uses);
      const many = Array.from({ length: LIMITS.mcpWaitsPerToken }, () =>
        client.call('wait_for_turn', { turn_id, timeout_ms: 8_000 }),
      );
      await eventually(async () => expect(await waitsAt(edge)).toBe(LIMITS.mcpWaitsPerToken));
      expect(await client.refused('wait_for_turn', { turn_id })).toBe('rate_limited');
      const [, , id] = uses.split('.');
      await edge.store.transaction((tx) => edge.tokens.revokeIn(tx, '00000000-0000-4000-8000-000000000001', id ?? ''));
      for (const { isError, value } of await Promise.all(many)) {
        expect([isError, value.error?.code]).toEqual([true, 'unauthorized']);
      }
      await client.close();
    });

    it('is over when its edge stops, and goes on at another', async () => {
      const stopping = await startTestEdge({ database: { url: edge.databaseUrl }, home: edge.home });
      const client = await McpTestClient.connect(stopping.httpUrl, token);
      const waiting = client.call('wait_for_turn', { turn_id, ...long });
      await eventually(async () => expect(await waitsAt(stopping)).toBe(1));
      const stopped = stopping.stop();
      expect((await waiting).value.outcome).toBe('running');
      await client.close();
      await stopped;
    });
  });
});
