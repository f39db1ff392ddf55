import { connect } from 'node:net';
import { eventually } from '@tyrum/test-services';
import { openSocket, startTestEdge, TestClient, TestDevice, type TestEdge } from './testing';

/*
 * Attacks that are not tested where their defence lies: the cookie's are in http/session, limits and revocation in limits/, frames and
 * slow readers in ws/, uploads and downloads in http/artifacts, foreign pages and the scopes of tools in mcp/mcp-door, another
 * tenant's ids in http/cross-tenant and mcp/mcp-door.
 */

describe('an attacker', () => {
  let edge: TestEdge;
  let token: string;
  beforeAll(async () => {
    edge = await startTestEdge({ bodyMs: 300, maxSockets: 20 });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  it('cannot use a proof again that was heard on another connection, nor twice on its own', async () => {
    const device = new TestDevice();
    const first = openSocket(edge.socketUrl, token);
    await first.opened();
    const { result } = await first.request('connect.init', device.initPayload());
    const heard = { connection_id: result.connection_id, proof: device.proof(result) };
    expect((await first.request('connect.proof', heard)).ok).toBe(true);
    expect((await first.request('connect.proof', heard)).error?.code).toBe('invalid_request');

    const second = openSocket(edge.socketUrl, token);
    await second.opened();
    await second.request('connect.init', device.initPayload());
    second.send({ request_id: 'p', type: 'connect.proof', payload: heard });
    expect((await second.closed).code).toBe(4007);
    await first.close();
  });

  it('is what its token says, whatever it calls itself', async () => {
    const node = await edge.issue({ role: 'node' });
    const socket = openSocket(edge.socketUrl, node);
    await socket.opened();
    socket.send({ request_id: 'i', type: 'connect.init', payload: new TestDevice().initPayload({ role: 'client' }) });
    expect((await socket.closed).code).toBe(4001);
    const upstart = openSocket(edge.socketUrl, node);
    await upstart.opened();
    upstart.send({ request_id: 'i', type: 'connect.init', payload: new TestDevice().initPayload({ role: 'admin' }) });
    expect((await upstart.closed).code).toBe(4003);
    // A client that calls itself a node gets none of its tenant's events for it, and may ask no more than before.
    const disguised = await TestClient.connect(edge.socketUrl, await edge.issue({ role: 'client' }), { role: 'node' });
    expect((await disguised.request('turn.list')).error?.code).toBe('forbidden');
    await disguised.close();
  });

  it('gets nothing for a token in a URL', async () => {
    const statusOf = async (query: string) => (await fetch(`${edge.httpUrl}/v1/turns?${query}`)).status;
    expect(await statusOf(`token=${token}`)).toBe(401);
    expect(await statusOf(`access_token=${token}`)).toBe(401);
    expect(await openSocket(`${edge.socketUrl}?token=${token}`, token).refused()).toBe(400);
  });

  it.each(['/v1/workflows', '/mcp'])(
    'holds no request to %s open by sending its body a byte at a time',
    async (path) => {
      const socket = connect(Number(new URL(edge.httpUrl).port), '127.0.0.1');
      const head = [`POST ${path} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${token}`];
      socket.write([...head, 'Content-Type: application/json', 'Content-Length: 100000', '', '{'].join('\r\n'));
      const drip = setInterval(() => socket.write(' '), 20);
      socket.on('error', () => undefined);
      let answer = '';
      socket.on('data', (data) => (answer += data.toString()));
      await new Promise((resolve) => socket.once('close', resolve));
      clearInterval(drip);
      expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    },
  );

  it('that opens more connections than there is room for is refused, and the others are served', async () => {
    const flood = Array.from({ length: 60 }, () => openSocket(edge.socketUrl, token));
    await eventually(() => {
      const settled = flood.filter(({ socket }) => socket.readyState !== socket.CONNECTING);
      // Their number, not they themselves: to print sixty sockets at each look would leave no time to serve them.
      expect(settled.length).toBe(flood.length);
    });
    const open = flood.filter(({ socket }) => socket.readyState === socket.OPEN);
    expect(open.length).toBeGreaterThan(0);
    expect(open.length).toBeLessThanOrEqual(20);
    expect((await fetch(`${edge.httpUrl}/v1/turns`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(
      200,
    );
    await Promise.all(open.map((socket) => socket.close()));
    await eventually(async () => {
      const after = await TestClient.connect(edge.socketUrl, token);
      await after.close();
    });
  });
});
