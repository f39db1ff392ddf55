import { CloseCode, deviceIdOf, decodeBase64Url, WireError, type RequestEnvelope } from '@tyrum/protocol';
import { eventually, freePort } from '@tyrum/test-services';
import { WebSocket } from 'ws';
import type { DeviceIdentity } from './device-identity';
import { createDeviceIdentity } from './kept-device-identity';
import { ClientClosedError, ConnectionLostError, RequestTimeoutError } from './errors';
import { fixtureEvent, GatewayFixture, SILENCE, type FixtureOptions } from './testing';
import { TyrumClient, type TyrumClientOptions } from './tyrum-client';
import type { WebSocketConstructor } from './web-socket';

const TOKEN = 'tyrum-token.v1.00000000-0000-4000-8000-0000000000aa.secretsecretsecret';
const backoff = { baseMs: 5, maxMs: 20 };

let identity: DeviceIdentity;
const open: { stop(): Promise<void> | void }[] = [];

beforeAll(async () => void (identity = await createDeviceIdentity()));
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

async function gateway(options: Partial<FixtureOptions> = {}, port = 0): Promise<GatewayFixture> {
  const fixture = await GatewayFixture.start({ token: TOKEN, answer: () => ({}), ...options }, port);
  open.push(fixture);
  return fixture;
}

function clientOf(url: string, options: Partial<TyrumClientOptions> = {}): TyrumClient {
  const client = new TyrumClient({
    url,
    token: TOKEN,
    identity,
    WebSocket: WebSocket as unknown as WebSocketConstructor,
    backoff,
    ...options,
  });
  open.push({ stop: () => client.close() });
  return client;
}

describe('connecting', () => {
  it.each(['subprotocol', 'header'] as const)('shakes hands with the token in the %s', async (tokenIn) => {
    const fixture = await gateway();
    const client = clientOf(fixture.url, { tokenIn, role: 'node', device: { label: 'a node', mode: 'node' } });
    const welcome = await client.connect();
    expect(welcome).toMatchObject({ device_id: identity.deviceId, role: 'node' });
    expect(client.state).toBe('open');
    expect(fixture.connections[0]?.init.device).toEqual({
      device_id: deviceIdOf(decodeBase64Url(identity.pubkey)!),
      pubkey: identity.pubkey,
      label: 'a node',
      mode: 'node',
    });
  });

  it('rejects finally when the token is refused', async () => {
    const fixture = await gateway();
    const client = clientOf(fixture.url, { token: 'another' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'connection_lost', closeCode: 4001, isFinal: true });
    expect(client.state).toBe('closed');
    expect(fixture.upgrades).toBe(1);
  });

  it('rejects, and may try again, when nothing listens', async () => {
    const port = await freePort();
    const client = clientOf(`ws://127.0.0.1:${port}/ws`);
    await expect(client.connect()).rejects.toMatchObject({ closeCode: 1006, isFinal: false });
    await gateway({}, port);
    await client.connect();
    expect(client.state).toBe('open');
  });

  it.each([4001, 4005, 4006, 4007, 4008])('does not come back after %i', async (code) => {
    const lost: [ConnectionLostError, number | undefined][] = [];
    const fixture = await gateway({ answer: () => SILENCE });
    const client = clientOf(fixture.url, {
      observer: { disconnected: (error, retryInMs) => void lost.push([error, retryInMs]) },
    });
    await client.connect();
    const unanswered = client.request('turn.list', {});
    fixture.connections[0]?.close(code);
    await expect(unanswered).rejects.toMatchObject({ closeCode: code });
    expect(client.state).toBe('closed');
    expect(lost).toEqual([[expect.objectContaining({ closeCode: code, isFinal: true }), undefined]]);
    await expect(client.request('ping', {})).rejects.toBeInstanceOf(ClientClosedError);
    expect(fixture.upgrades).toBe(1);
  });

  it.each([1001, 1011, 1013, 4002, 4003, 4004])('comes back after %i', async (code) => {
    const fixture = await gateway();
    const client = clientOf(fixture.url);
    await client.connect();
    fixture.connections[0]?.close(code);
    await eventually(() => expect(fixture.connections).toHaveLength(2));
    await eventually(() => expect(client.state).toBe('open'));
  });

  it('comes back after exactly the delay that 1012 asks for', async () => {
    const fixture = await gateway();
    const delay = new Promise<number | undefined>((resolve) => {
      const client = clientOf(fixture.url, { observer: { disconnected: (_, retryInMs) => resolve(retryInMs) } });
      void client.connect().then(() => fixture.connections[0]?.close(CloseCode.Restarting, '137'));
    });
    expect(await delay).toBe(137);
    await eventually(() => expect(fixture.connections).toHaveLength(2));
  });
});

describe('requests', () => {
  it('hands on results and errors, whatever the order of the answers', async () => {
    const held: RequestEnvelope[] = [];
    const fixture = await gateway({
      answer: (request, connection) => {
        if (request.type === 'workflow.cancel') throw new WireError('not_found', 'no such turn');
        held.push(request);
        if (held.length < 2) return SILENCE;
        for (const { request_id, type } of held.reverse())
          connection.send({ request_id, type, ok: true, result: { turns: [request_id] } });
        return SILENCE;
      },
    });
    const client = clientOf(fixture.url);
    await client.connect();
    const answers = await Promise.all(
      ['a', 'b'].map((requestId) => client.request('turn.list', { limit: 1 }, { requestId })),
    );
    expect(answers).toEqual([{ turns: ['a'] }, { turns: ['b'] }]);
    await expect(client.request('workflow.cancel', { workflow_run_id: 'x' })).rejects.toMatchObject({
      name: 'WireError',
      code: 'not_found',
    });
  });

  it('keeps the fields at fault of a contract error', async () => {
    const details = [{ field: 'payload.limit', rule: 'isInt', message: 'must be a whole number' }];
    const fixture = await gateway({
      answer: () => {
        throw new WireError('contract_error', 'payload.limit: must be a whole number', details);
      },
    });
    const client = clientOf(fixture.url);
    await client.connect();
    await expect(client.request('turn.list', {})).rejects.toMatchObject({ name: 'ContractError', details });
  });

  it('gives up on an answer that does not come', async () => {
    const fixture = await gateway({ answer: () => SILENCE });
    const client = clientOf(fixture.url);
    await client.connect();
    await expect(client.request('turn.list', {}, { timeoutMs: 20 })).rejects.toBeInstanceOf(RequestTimeoutError);
  });

  it('sends what is unanswered again after a reconnect, under the same id', async () => {
    const fixture = await gateway({
      answer: (_, connection) => {
        if (fixture.connections.length > 1) return { workflow_run_id: 'r', cancelled: true };
        connection.cut();
        return SILENCE;
      },
    });
    const client = clientOf(fixture.url);
    await client.connect();
    const answer = await client.request('workflow.cancel', { workflow_run_id: 'r' });
    expect(answer).toEqual({ workflow_run_id: 'r', cancelled: true });
    const [first, second] = fixture.connections.map(({ received }) => received);
    expect(first).toHaveLength(1);
    expect(second).toEqual(first);
  });

  it('never has more in flight than the gateway takes, and sends the rest as answers come', async () => {
    let inFlight = 0;
    let most = 0;
    const fixture = await gateway({
      answer: ({ request_id, type }, connection) => {
        most = Math.max(most, (inFlight += 1));
        setImmediate(() => {
          inFlight -= 1;
          connection.send({ request_id, type, ok: true });
        });
        return SILENCE;
      },
    });
    const client = clientOf(fixture.url);
    await client.connect();
    await Promise.all(Array.from({ length: 200 }, () => client.request('ping', {})));
    expect(fixture.connections[0]?.received).toHaveLength(200);
    expect(most).toBeLessThanOrEqual(64);
  });

  it('rejects what is unanswered when it is closed', async () => {
    const fixture = await gateway({ answer: () => SILENCE });
    const client = clientOf(fixture.url);
    await client.connect();
    const unanswered = client.request('turn.list', {});
    client.close();
    await expect(unanswered).rejects.toBeInstanceOf(ClientClosedError);
  });

  it("answers the gateway's ping itself, and its other requests as it is told", async () => {
    const fixture = await gateway();
    const client = clientOf(fixture.url, {
      role: 'node',
      answer: async ({ payload }) => {
        if (payload['dispatch_id'] === 'bad') throw new WireError('forbidden', 'not on the allow-list');
        return { result: 1 };
      },
    });
    await client.connect();
    const [connection] = fixture.connections;
    connection?.send({ request_id: '1', type: 'ping', payload: {} });
    connection?.send({ request_id: '2', type: 'task.execute', payload: { dispatch_id: 'good' } });
    connection?.send({ request_id: '3', type: 'task.execute', payload: { dispatch_id: 'bad' } });
    await eventually(() => expect(connection?.answers).toHaveLength(3));
    expect(connection?.answers).toEqual(
      expect.arrayContaining([
        { request_id: '1', type: 'ping', ok: true },
        { request_id: '2', type: 'task.execute', ok: true, result: { result: 1 } },
        {
          request_id: '3',
          type: 'task.execute',
          ok: false,
          error: { code: 'forbidden', message: 'not on the allow-list' },
        },
      ]),
    );
  });
});

describe('events', () => {
  it('hands each on once, also when it is delivered again after a reconnect', async () => {
    const fixture = await gateway();
    const client = clientOf(fixture.url);
    const ids: string[] = [];
    client.on('*', ({ event_id }) => void ids.push(event_id));
    await client.connect();
    for (const id of ['1', '2', '2']) fixture.connections[0]?.send(fixtureEvent(id, 'turn.started', { turn_id: 't' }));
    await eventually(() => expect(ids).toEqual(['1', '2']));
    fixture.connections[0]?.cut();
    await eventually(() => expect(fixture.connections).toHaveLength(2));
    for (const id of ['1', '2', '3']) fixture.connections[1]?.send(fixtureEvent(id, 'turn.started', { turn_id: 't' }));
    await eventually(() => expect(ids).toEqual(['1', '2', '3']));
  });

  it('resumes after the last cursor and tells of a gap', async () => {
    const gaps: number[] = [];
    const fixture = await gateway({
      // The second connection may go on where it was; the third one's position is gone.
      welcome: (init) => ({ cursor: fixture.connections.length < 3 ? (init.resume?.cursor ?? '') : 'c9' }),
    });
    const client = clientOf(fixture.url, { observer: { gap: () => void gaps.push(fixture.connections.length) } });
    await client.connect();
    fixture.connections[0]?.send(fixtureEvent('1', 'turn.started', { turn_id: 't' }, 'c1'));
    await eventually(() => expect(client.position).toBe('c1'));
    for (const count of [2, 3]) {
      fixture.connections[count - 2]?.cut();
      await eventually(() => expect(fixture.connections).toHaveLength(count));
      await eventually(() => expect(client.state).toBe('open'));
    }
    expect(fixture.connections.map(({ init }) => init.resume?.cursor)).toEqual(['head', 'c1', 'c1']);
    expect(gaps).toEqual([3]);
    expect(client.position).toBe('c9');
  });

  it('iterates over them until it is closed', async () => {
    const fixture = await gateway();
    const client = clientOf(fixture.url, { resume: false });
    await client.connect();
    expect(fixture.connections[0]?.init.resume).toBeUndefined();
    const events = client.events();
    fixture.connections[0]?.send(fixtureEvent('1', 'turn.started', { turn_id: 't' }));
    fixture.connections[0]?.send(fixtureEvent('2', 'not.known.yet', { any: 1 }));
    const seen: string[] = [];
    for await (const { type } of events) {
      seen.push(type);
      if (seen.length === 2) client.close();
    }
    expect(seen).toEqual(['turn.started', 'not.known.yet']);
  });

  it('stops calling a handler that was taken away', async () => {
    const fixture = await gateway();
    const client = clientOf(fixture.url);
    const seen: string[] = [];
    const off = client.on('turn.started', ({ event_id }) => {
      seen.push(event_id);
      off();
    });
    await client.connect();
    const all = client.events();
    for (const id of ['1', '2']) fixture.connections[0]?.send(fixtureEvent(id, 'turn.started', { turn_id: 't' }));
    await all.next();
    await all.next();
    expect(seen).toEqual(['1']);
  });
});
