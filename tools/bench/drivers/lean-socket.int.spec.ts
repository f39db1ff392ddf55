import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { LeanSocket } from './lean-socket';

describe('the lean client', () => {
  let server: WebSocketServer;
  let url: string;
  beforeEach(async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterEach(() => server.close());

  const open = async () => {
    const texts: string[] = [];
    const ended = new Promise<string>((resolve) => {
      const options = { url, headers: {}, onText: (text: Buffer) => texts.push(text.toString()), onEnd: resolve };
      lean = new LeanSocket(options);
    });
    const accepted = once(server, 'connection') as Promise<[WebSocket]>;
    await lean.open();
    const [socket] = await accepted;
    return { texts, ended, socket };
  };
  let lean: LeanSocket;

  it('reads frames of every length, however they are cut into packets', async () => {
    const { texts, socket } = await open();
    const sent = [1, 125, 126, 65_535, 65_536, 300_000].map((length) => 'x'.repeat(length));
    for (const text of sent) socket.send(text);
    socket.ping();
    await once(socket, 'pong');
    expect(texts.map((text) => text.length)).toEqual(sent.map((text) => text.length));
    lean.close();
  });

  it('writes what a server of `ws` understands', async () => {
    const { socket } = await open();
    for (const text of ['short', 'x'.repeat(1_000)]) {
      const received = once(socket, 'message') as Promise<[Buffer]>;
      lean.send(text);
      expect((await received)[0].toString()).toBe(text);
    }
    lean.close();
  });

  it('says when it is cut off', async () => {
    const { ended, socket } = await open();
    socket.close(1013);
    expect(await ended).toBe('closed with 1013');
    lean.close();
  });
});
