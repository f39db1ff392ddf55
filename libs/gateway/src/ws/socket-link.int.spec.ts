import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { SocketLink } from './socket-link';
import { textFrame } from './text-frame';

describe('a socket link', () => {
  let server: WebSocketServer;
  let client: WebSocket;
  let link: SocketLink;
  let writes: jest.SpyInstance[];
  let received: string[];

  const SEND_BUFFER_BYTES = 64 * 1024;

  beforeEach(async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    received = [];
    client.on('message', (data) => received.push((data as Buffer).toString()));
    const opened = once(client, 'open');
    const [socket, { socket: bytes }] = (await once(server, 'connection')) as [WebSocket, { socket: Socket }];
    await opened;
    writes = [jest.spyOn(bytes, '_write'), jest.spyOn(bytes, '_writev' as '_write')];
    const options = { sendBufferBytes: SEND_BUFFER_BYTES, missedPings: 2, onClosing: () => undefined };
    link = new SocketLink(socket, bytes, options);
  });
  afterEach(async () => {
    client.terminate();
    await new Promise((resolve) => server.close(resolve));
  });

  const written = () => writes.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  const sent = () => new Promise<void>((resolve) => link.onceSent(resolve));

  it('writes what is sent in one go at once, in its order', async () => {
    for (let i = 0; i < 20; i += 1) link.send(`answer ${i}`);
    link.sendRaw(textFrame(Buffer.from('event')));
    link.send('last');
    await sent();
    expect(written()).toBe(1);
    link.close(1000, 'done');
    await once(client, 'close');
    expect(received).toEqual([...Array.from({ length: 20 }, (_, i) => `answer ${i}`), 'event', 'last']);
  });

  it('holds nothing back from what is sent later', async () => {
    for (let i = 0; i < 3; i += 1) {
      link.send(`answer ${i}`);
      await sent();
    }
    expect(written()).toBe(3);
  });

  it.each([
    ['few long', 4, 60_000, 5],
    ['many short', 300, 1_000, 30],
  ])('does not take what it gathers for what is not read: %s', async (_, count, length, most) => {
    const texts = Array.from({ length: count }, (_, i) => `${i} ${'x'.repeat(length)}`);
    for (const text of texts) expect(link.send(text)).toBe(true);
    link.close(1000, 'done');
    await once(client, 'close');
    expect(received).toEqual(texts);
    expect(written()).toBeLessThanOrEqual(most);
  });

  it('still says what was sent before it closes', async () => {
    link.send('the reason');
    link.close(4004, 'revoked');
    const [code] = (await once(client, 'close')) as [number];
    expect([code, received]).toEqual([4004, ['the reason']]);
  });
});
