import { restartDelayMs, CloseCode } from '@tyrum/protocol';
import { openSocket, startTestEdge, TestClient } from '../testing';

it('takes upgrades until balancers have noticed, serves those who are in, and sends them away with spread delays', async () => {
  const edge = await startTestEdge({ drainMs: 60_000 });
  try {
    const token = await edge.issue();
    const clients = await Promise.all(Array.from({ length: 20 }, () => TestClient.connect(edge.socketUrl, token)));
    await edge.drain.runThrough('stopAccepting');
    expect((await fetch(`${edge.httpUrl}/readyz`)).status).toBe(503);
    await (await TestClient.connect(edge.socketUrl, token)).close();
    await edge.drain.runThrough('finishWork');
    expect(await openSocket(edge.socketUrl, token).refused()).toBe(503);
    const first = clients[0] as TestClient;
    const workflow = { conversation_key: 'agent:default:main', steps: [{ type: 'CLI', args: { cmd: 'true' } }] };
    expect((await first.request('workflow.start', workflow)).ok).toBe(true);

    // Still in flight when the sockets are closed: it is answered first.
    const late = first.request('workflow.start', workflow);
    await first.request('ping');
    await edge.drain.runThrough('closeSockets');
    expect((await late).ok).toBe(true);
    const closes = await Promise.all(clients.map((client) => client.closed));
    expect(new Set(closes.map(({ code }) => code))).toEqual(new Set([CloseCode.Restarting]));
    const delays = closes.map(({ reason }) => restartDelayMs(reason, 60_000));
    expect(delays.every((delay) => delay !== undefined)).toBe(true);
    expect(new Set(delays).size).toBe(20);
    expect(edge.drain.clean).toBe(true);
  } finally {
    await edge.stop();
  }
});

it('cuts off a peer that never answers the close', async () => {
  const edge = await startTestEdge({ drainMs: 20_000 });
  const client = await TestClient.connect(edge.socketUrl, await edge.issue());
  client.socket.pause();
  const startedAt = performance.now();
  await edge.stop();
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect(edge.drain.clean).toBe(true);
  client.socket.terminate();
});

it('cuts off a peer that answers no ping, and keeps the ones that do', async () => {
  const edge = await startTestEdge({ pingIntervalMs: 50 });
  try {
    const token = await edge.issue();
    const lively = await TestClient.connect(edge.socketUrl, token);
    const deaf = await TestClient.connect(edge.socketUrl, token, { autoPong: false });
    expect(await deaf.closed).toMatchObject({ code: 1006 });
    expect((await lively.request('ping')).ok).toBe(true);
    await lively.close();
  } finally {
    await edge.stop();
  }
});
