import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { eventually } from '@tyrum/test-services';
import { FaultProxy, type FaultProxyOptions } from './fault-proxy';

/** A server that echoes, and a client through the proxy that remembers what came back. */
describe('FaultProxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  const received: Buffer[] = [];
  const accepted: Socket[] = [];
  const clients: Client[] = [];

  beforeEach(async () => {
    received.length = accepted.length = 0;
    server = createServer((socket) => {
      accepted.push(socket);
      socket.on('error', () => {});
      socket.on('data', (data) => {
        received.push(data);
        socket.write(data);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await start();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await proxy.stop();
    server.close();
  });

  async function start(inspect?: FaultProxyOptions['inspect']): Promise<void> {
    const { port } = server.address() as { port: number };
    proxy = await FaultProxy.start({ target: () => port, ...(inspect ? { inspect } : {}) });
  }

  class Client {
    text = '';
    closed = false;
    constructor(readonly socket: Socket) {
      socket.on('data', (data) => (this.text += data.toString()));
      socket.on('error', () => {});
      socket.on('close', () => (this.closed = true));
    }
    says(text: string): this {
      this.socket.write(text);
      return this;
    }
    hears(text: string): Promise<void> {
      return eventually(() => expect(this.text).toBe(text), { intervalMs: 5 });
    }
    ends(): Promise<void> {
      return eventually(() => expect(this.closed).toBe(true), { intervalMs: 5 });
    }
  }

  async function client(): Promise<Client> {
    const socket = connect(proxy.port, '127.0.0.1');
    await once(socket, 'connect');
    const one = new Client(socket);
    clients.push(one);
    return one;
  }

  const sent = () => Buffer.concat(received).toString();

  it('passes bytes both ways and an end on', async () => {
    const one = await client();
    await one.says('hello').hears('hello');
    one.socket.end();
    await eventually(() => expect(accepted[0]?.readableEnded).toBe(true));
  });

  it('cuts what is connected and takes new connections', async () => {
    const one = await client();
    await one.says('a').hears('a');
    expect(proxy.cut()).toBe(1);
    await one.ends();
    await (await client()).says('b').hears('b');
  });

  it('stalls: nothing arrives until it is over, and then everything does in order', async () => {
    const [one, two] = [await client(), await client()];
    await one.says('a').hears('a');
    proxy.set({ kind: 'stall' });
    one.says('b').says('c');
    // Another connection shows that time has passed for the first as well: it was opened before and is served after.
    two.says('x');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sent()).toBe('a');
    proxy.set({ kind: 'pass' });
    await one.hears('abc');
    await two.hears('x');
  });

  it('loses what goes into a black hole and resets its connections afterwards', async () => {
    const one = await client();
    await one.says('a').hears('a');
    proxy.set({ kind: 'black_hole' });
    one.says('lost');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(one.closed).toBe(false);
    proxy.set({ kind: 'pass' });
    await one.ends();
    expect(sent()).toBe('a');
    await (await client()).says('b').hears('b');
  });

  it('half-open: the far side is gone and the near side is not told', async () => {
    const one = await client();
    await one.says('a').hears('a');
    proxy.set({ kind: 'half_open' });
    await eventually(() => expect(accepted[0]?.destroyed).toBe(true));
    one.says('b');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(one.closed).toBe(false);
    proxy.set({ kind: 'pass' });
    await one.ends();
  });

  it('refuses new connections and leaves old ones alone', async () => {
    const one = await client();
    await one.says('a').hears('a');
    proxy.set({ kind: 'refuse' });
    const two = connect(proxy.port, '127.0.0.1');
    two.on('error', () => {});
    await new Promise((resolve) => two.once('close', resolve));
    await one.says('b').hears('ab');
  });

  it('delays each way', async () => {
    proxy.set({ kind: 'delay', ms: 120 });
    const one = await client();
    const startedAt = performance.now();
    await one.says('a').hears('a');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(240);
  });

  it('throttles to a number of bytes a second', async () => {
    proxy.set({ kind: 'throttle', bytesPerSecond: 20_000 });
    const one = await client();
    const startedAt = performance.now();
    const text = 'x'.repeat(6_000);
    await one.says(text).hears(text);
    // The echo overlaps with the way there, so the whole takes what one way does.
    const elapsedMs = performance.now() - startedAt;
    expect(elapsedMs).toBeGreaterThan(200);
    expect(elapsedMs).toBeLessThan(5_000);
  });

  it.each([
    ['cut', ''],
    ['cut_after', 'commit'],
  ] as const)('%s: the answer is lost, and the far side got "%s"', async (verdict, expected) => {
    await proxy.stop();
    await start((data, direction) => (direction === 'up' && data.includes('commit') ? verdict : 'forward'));
    const one = await client();
    one.says('commit');
    await one.ends();
    await eventually(() => expect(accepted[0]?.destroyed ?? verdict === 'cut').toBe(true));
    expect(sent()).toBe(expected);
    expect(one.text).toBe('');
  });
});
