import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { StepOutcome, StepRequest, TranscriptMessage } from '@tyrum/execution';
import { validateAction } from '@tyrum/protocol';
import { freePort } from '@tyrum/test-services';
import { ModelExecutor } from './model-executor';
import { NoModel } from './no-model';
import { codeOf, resultOf, TestWorkspace } from './testing';

interface Asked {
  readonly path: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
}

type Answer = (response: ServerResponse) => void | Promise<void>;

describe('ModelExecutor', () => {
  const workspace = new TestWorkspace();
  let server: Server;
  let baseUrl: string;
  let answer: Answer;
  let asked: Asked[];
  let chunks: object[];

  beforeAll(async () => {
    server = createServer((request, response) => {
      void json(request).then((body) => {
        asked.push({ path: request.url, authorization: request.headers.authorization, body: body as Asked['body'] });
        return answer(response);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  afterAll(() => {
    server.close().closeAllConnections();
    workspace.remove();
  });
  beforeEach(() => {
    asked = [];
    chunks = [];
  });

  const step = (transcript: TranscriptMessage[] = [], fields: Partial<StepRequest> = {}) =>
    workspace.step({ type: 'Llm', args: {} } as never, { transcript: () => Promise.resolve(transcript), ...fields });
  const run = (
    request = step(),
    signal: AbortSignal = new AbortController().signal,
    apiKey?: string,
  ): Promise<StepOutcome> =>
    new ModelExecutor({ baseUrl, model: 'small', ...(apiKey ? { apiKey } : {}) }).execute(request, {
      signal,
      stream: (chunk) => chunks.push(chunk),
    });

  it('streams a reply and hands it back with its usage', async () => {
    answer = streaming([text('Hel'), text('lo\0'), finish('stop'), usage(3, 2)]);
    const result = resultOf(
      await run(step([{ role: 'user', parts: [{ type: 'text', text: 'Hi' }] }]), undefined, 'key-1'),
    );
    expect(result).toMatchObject({ text: 'Hello', model: 'small', usage: { prompt_tokens: 3, completion_tokens: 2 } });
    expect(result['calls']).toEqual([]);
    expect(chunks).toEqual([
      { type: 'start' },
      { type: 'text-start', id: 'text-0' },
      { type: 'text-delta', id: 'text-0', delta: 'Hel' },
      { type: 'text-delta', id: 'text-0', delta: 'lo\0' },
      { type: 'text-end', id: 'text-0' },
      { type: 'finish' },
    ]);
    expect(asked[0]).toMatchObject({
      path: '/v1/chat/completions',
      authorization: 'Bearer key-1',
      body: { model: 'small', stream: true, messages: [{ role: 'user', content: 'Hi' }] },
    });
    expect(asked[0]?.body['tools']).toHaveLength(8);
  });

  it.each([
    ['text', (part: string) => text(part)],
    ['arguments', (part: string) => toolCall(0, undefined, undefined, part)],
    ['names', (part: string) => toolCall(0, undefined, part, '')],
  ])('fails a reply whose %s pass the limit, and keeps no more of it', async (_, chunk) => {
    const part = 'é'.repeat(256 * 1024);
    answer = streaming([...Array.from({ length: 17 }, () => chunk(part)), finish('stop')]);
    expect(await run()).toEqual({
      kind: 'failed',
      error: { code: 'model_reply_too_large', message: 'the reply of the model has more than 4194304 characters' },
      retryable: false,
    });
    answer = streaming([...Array.from({ length: 16 }, () => chunk(part)), finish('stop')]);
    expect(await run()).toMatchObject({ kind: 'succeeded' });
  });

  it('turns tool calls into steps, and what is wrong with one into words for the model', async () => {
    answer = streaming([
      text('Let me look.'),
      toolCall(0, 'c1', 'cli', '{"cmd":'),
      toolCall(0, undefined, undefined, '"ls"}'),
      toolCall(1, 'c2', 'fs_read', '{"path":"a"}'),
      toolCall(2, '', 'nonsense', '{}'),
      finish('tool_calls'),
    ]);
    const result = resultOf(await run(step([], { stepIndex: 4 })));
    expect(result['calls']).toEqual([
      { call_id: 'c1', tool: 'cli', input: { cmd: 'ls' }, action: { type: 'CLI', args: { cmd: 'ls' } } },
      {
        call_id: 'c2',
        tool: 'fs_read',
        input: { path: 'a' },
        action: { type: 'Filesystem', args: { op: 'read', path: 'a' } },
      },
      { call_id: 'call_4_2', tool: 'nonsense', input: '{}', error: 'there is no tool "nonsense"' },
    ]);
    // The reply goes on after the tools: it has begun before this call and does not end with it.
    expect(chunks.map((chunk) => (chunk as { type: string }).type)).toEqual([
      'text-start',
      'text-delta',
      'text-end',
      'tool-input-available',
      'tool-input-available',
      'tool-input-available',
    ]);
  });

  it('takes calls at places that are none for what they are, and touches nothing with them', async () => {
    const hostile = ['__proto__', 'length', -1, 0.5, 3_000_000_000] as unknown as number[];
    answer = streaming([
      ...hostile.map((place) => toolCall(place, 'x', 'polluted', '{}')),
      toolCall(0, 'c', 'cli', '{'),
    ]);
    const startedAt = performance.now();
    const { calls } = resultOf(await run()) as unknown as { calls: { call_id: string }[] };
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(calls.map(({ call_id }) => call_id)).toEqual(['c']);
    expect(([] as unknown as { name?: string }).name).toBeUndefined();
  });

  it('tells the model what was said and done so far', async () => {
    answer = streaming([text('ok'), finish('stop')]);
    await run(
      step([
        { role: 'system', parts: [{ type: 'text', text: 'be brief' }] },
        {
          role: 'user',
          parts: [
            { type: 'text', text: 'list ' },
            { type: 'text', text: 'files' },
          ],
        },
        {
          role: 'assistant',
          parts: [
            { type: 'text', text: '' },
            { type: 'tool-call', tool_call_id: 'c1', tool_name: 'cli', input: { cmd: 'ls' } },
          ],
        },
        {
          role: 'tool',
          parts: [{ type: 'tool-result', tool_call_id: 'c1', tool_name: 'cli', output: { output: 'a\n' } }],
        },
      ]),
    );
    expect(asked[0]?.body['messages']).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'list files' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'cli', arguments: '{"cmd":"ls"}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: '{"output":"a\\n"}' },
    ]);
    const action = validateAction({ type: 'Llm', args: { prompt: 'summarize' } });
    await run(workspace.step(action));
    expect(asked[1]?.body['messages']).toEqual([{ role: 'user', content: 'summarize' }]);
  });

  it.each([
    [429, true],
    [500, true],
    [503, true],
    [400, false],
    [401, false],
    [404, false],
  ])('a %s is retryable: %s', async (status, retryable) => {
    answer = (response) =>
      void response
        .writeHead(status, { 'content-type': 'application/json', 'retry-after': '2' })
        .end('{"error":{"message":"no such key-1"}}');
    const outcome = await run(step(), undefined, 'key-1');
    expect(outcome).toMatchObject({
      kind: 'failed',
      retryable,
      retryAfterMs: 2_000,
      error: { code: `http_${status}` },
    });
    if (status === 401) expect(JSON.stringify(outcome)).not.toContain('key-1');
    expect(asked).toHaveLength(1);
  });

  it('is retryable when the server cannot be reached or the stream breaks off', async () => {
    const nowhere = new ModelExecutor({ baseUrl: `http://127.0.0.1:${await freePort()}/v1`, model: 'small' });
    const context = { signal: new AbortController().signal, stream: () => {} };
    expect(await nowhere.execute(step(), context)).toMatchObject({
      kind: 'failed',
      retryable: true,
      error: { code: 'model_unreachable' },
    });
    answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(text('Hel'))}\n\n`, () => response.destroy());
    };
    expect(await run()).toMatchObject({ kind: 'failed', retryable: true });
  });

  it('stops when it is told to, and hands back no half reply', async () => {
    const abort = new AbortController();
    answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(text('Hel'))}\n\n`);
    };
    const running = new ModelExecutor({ baseUrl, model: 'small' }).execute(step(), {
      signal: abort.signal,
      stream: ({ type }) => type === 'text-delta' && abort.abort('cancelled'),
    });
    expect(await running).toEqual({ kind: 'interrupted' });
  });

  it('says that no model is configured', async () => {
    expect(codeOf(await new NoModel().execute())).toBe('model_not_configured');
  });
});

function streaming(events: readonly object[]): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of events) response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.end('data: [DONE]\n\n');
  };
}

const choice = (delta: object, finishReason: string | null = null) => ({
  id: 'x',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'small',
  choices: [{ index: 0, delta, finish_reason: finishReason }],
});
const text = (content: string) => choice({ content });
const finish = (reason: string) => choice({}, reason);
const usage = (prompt_tokens: number, completion_tokens: number) => ({
  ...choice({}),
  choices: [],
  usage: { prompt_tokens, completion_tokens },
});
const toolCall = (index: number, id: string | undefined, name: string | undefined, args: string) =>
  choice({
    tool_calls: [{ index, ...(id === undefined ? {} : { id }), type: 'function', function: { name, arguments: args } }],
  });
