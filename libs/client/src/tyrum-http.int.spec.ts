import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '@tyrum/test-services';
import type { Clock } from './clock';
import { TyrumHttp } from './tyrum-http';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let requests: IncomingMessage[];
let handlers: Handler[];
const delays: number[] = [];
/** Does not wait, and remembers how long it would have. */
const clock: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, action) => {
    delays.push(delayMs);
    const timer = setImmediate(action);
    return () => clearImmediate(timer);
  },
};

beforeEach(async () => {
  [requests, handlers] = [[], []];
  delays.length = 0;
  server = createServer((request, response) => {
    requests.push(request);
    request.resume();
    // The last handler answers whatever more comes.
    const handler = handlers.length > 1 ? handlers.shift() : handlers[0];
    request.on('end', () => handler?.(request, response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function http(port = (server.address() as AddressInfo).port): TyrumHttp {
  return new TyrumHttp({ url: `http://127.0.0.1:${port}`, token: 't', clock, newId: () => 'made' });
}

function json(status: number, body: object, headers: Record<string, string> = {}): Handler {
  return (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const cut: Handler = (request) => request.socket.destroy();
const workflow = { conversation_key: 'agent:default:main', steps: [] };

it('sends the token and the key, and hands on the answer', async () => {
  handlers = [json(202, { workflow_run_id: 'r' })];
  await expect(http().startWorkflow(workflow, 'mine')).resolves.toEqual({ workflow_run_id: 'r' });
  expect(requests[0]?.headers).toMatchObject({ authorization: 'Bearer t', 'idempotency-key': 'mine' });
});

it('repeats a keyed post that nothing answered, with the same key', async () => {
  handlers = [cut, cut, json(202, { workflow_run_id: 'r' })];
  await http().startWorkflow(workflow);
  expect(requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['made', 'made', 'made']);
});

it('asks again when an earlier copy is still being carried out, and not at another 409', async () => {
  const problem = { status: 409, code: 'conflict' };
  handlers = [json(409, problem, { 'retry-after': '1' }), json(202, { workflow_run_id: 'r' }), json(409, problem)];
  await expect(http().startWorkflow(workflow)).resolves.toEqual({ workflow_run_id: 'r' });
  expect(delays).toContain(1_000);
  await expect(http().startWorkflow(workflow)).rejects.toMatchObject({ status: 409 });
  expect(requests).toHaveLength(3);
});

it('does not repeat a post without a key that may have arrived', async () => {
  handlers = [cut];
  await expect(http().createToken({ role: 'client' })).rejects.toMatchObject({
    code: 'unreachable',
    mayHaveArrived: true,
  });
  expect(requests).toHaveLength(1);
});

it('waits as long as a 503 says, and gives up in the end', async () => {
  handlers = [json(503, { status: 503, code: 'overloaded', detail: 'later' }, { 'retry-after': '3' })];
  await expect(http().getTurn('t')).rejects.toMatchObject({ name: 'ProblemError', status: 503, code: 'overloaded' });
  expect(requests).toHaveLength(4);
  expect(delays).toEqual([3_000, 3_000, 3_000]);
});

it('makes a problem document an error that names the fields', async () => {
  const errors = [{ field: 'body.steps[0].args.cmd', rule: 'isString', message: 'must be a string' }];
  handlers = [json(400, { title: 'Bad', status: 400, detail: 'no', code: 'contract_error', errors })];
  await expect(http().startWorkflow(workflow)).rejects.toMatchObject({
    status: 400,
    title: 'Bad',
    detail: 'no',
    errors,
  });
  expect(requests).toHaveLength(1);
});

it('keeps the status of an answer that is no problem document', async () => {
  handlers = [(_, response) => response.writeHead(502).end('<h1>Bad Gateway</h1>')];
  await expect(http().listSchedules()).rejects.toMatchObject({ status: 502, detail: '<h1>Bad Gateway</h1>' });
});

it('lists tokens to the end, page by page', async () => {
  handlers = [
    json(200, { tokens: [{ token_id: 'a' }], next_cursor: 'more' }),
    json(200, { tokens: [{ token_id: 'b' }] }),
  ];
  expect((await http().listTokens()).map(({ token_id }) => token_id)).toEqual(['a', 'b']);
  expect(requests.map(({ url }) => url)).toEqual(['/v1/tokens', '/v1/tokens?cursor=more']);
});

it('says that nothing listens', async () => {
  const port = await freePort();
  await expect(http(port).createToken({ role: 'client' })).rejects.toMatchObject({ mayHaveArrived: false });
  expect(delays).toHaveLength(3);
});

it('takes "not ready" for an answer', async () => {
  handlers = [json(503, { status: 'not_ready', checks: [] })];
  await expect(http().readiness()).resolves.toEqual({ status: 'not_ready', checks: [] });
});

it('spells filters as the gateway reads them', async () => {
  handlers = [json(200, { turns: [] })];
  await http().listTurns({ statuses: ['queued', 'running'], limit: 5, cursor: 'abc' });
  expect(requests[0]?.url).toBe('/v1/turns?status=queued%2Crunning&limit=5&cursor=abc');
});
