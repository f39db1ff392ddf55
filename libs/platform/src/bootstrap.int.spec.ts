import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '@tyrum/test-services';
import type { LoggedLine } from './testing';

const ROOT = join(__dirname, '../../..');
const PHASES = ['stopAccepting', 'stopClaiming', 'finishWork', 'closeSockets', 'closePools'];

/** The fixture app as a process of its own, with its log lines as they come. */
class FixtureProcess {
  readonly lines: LoggedLine[] = [];
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();

  constructor(env: Record<string, string> = {}, argv: string[] = []) {
    const script = join(__dirname, 'testing/fixture-app.ts');
    this.#child = spawn(process.execPath, ['-r', '@swc-node/register', script, ...argv], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], TYRUM_PORT: '0', TS_NODE_PROJECT: join(ROOT, 'tsconfig.base.json'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.exited = once(this.#child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.stdout += `${line}\n`;
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as LoggedLine);
      this.#waiting.forEach((check) => check());
    });
    void this.exited.then(() => this.#waiting.forEach((check) => check()));
  }

  /** The first line with this message, waiting for it if need be. Jest's timeout is the deadline. */
  line(msg: string, fields: Record<string, unknown> = {}): Promise<LoggedLine> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.lines.find(
          (line) => line.msg === msg && Object.entries(fields).every(([key, value]) => line[key] === value),
        );
        if (found) resolve(found);
        else if (this.#child.exitCode !== null)
          reject(new Error(`exited without "${msg}":\n${this.stdout}${this.stderr}`));
        else return;
        this.#waiting.delete(check);
      };
      this.#waiting.add(check);
      check();
    });
  }

  async url(path: string): Promise<string> {
    return `http://127.0.0.1:${String((await this.line('listening'))['port'])}${path}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  phases(): unknown[] {
    return this.lines.filter(({ msg }) => msg === 'phase began').map(({ phase }) => phase);
  }
}

let running: FixtureProcess[] = [];
function start(...args: ConstructorParameters<typeof FixtureProcess>): FixtureProcess {
  const started = new FixtureProcess(...args);
  running.push(started);
  return started;
}

afterEach(async () => {
  running.forEach((child) => child.signal('SIGKILL'));
  await Promise.all(running.map((child) => child.exited));
  running = [];
});

it('serves the probes on the port it logs', async () => {
  const app = start({ TYRUM_PROT: '1', TYRUM_INSTANCE_ID: 'edge-7' });
  expect(await app.line('listening')).toMatchObject({ app: 'edge', instance_id: 'edge-7', database: 'sqlite' });
  expect(await app.line('unknown variable ignored')).toMatchObject({ variable: 'TYRUM_PROT' });

  const live = await fetch(await app.url('/livez'));
  expect([live.status, await live.json()]).toEqual([200, { status: 'live' }]);
  for (const path of ['/readyz', '/healthz']) {
    const ready = await fetch(await app.url(path));
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: 'ready', checks: [{ name: 'fixture', ok: true }] });
  }
  const metrics = await fetch(await app.url('/metrics'));
  expect(metrics.headers.get('content-type')).toContain('text/plain');
  expect(await metrics.text()).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
});

it('at SIGTERM turns not ready, keeps serving, finishes the work, closes in order and exits with 0', async () => {
  const app = start();
  const inFlight = fetch(await app.url('/work'));
  await app.line('work began');
  app.signal('SIGTERM');
  await app.line('phase began', { phase: 'finishWork' });
  app.signal('SIGTERM');

  const ready = await fetch(await app.url('/readyz'));
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ status: 'not_ready' });
  const live = await fetch(await app.url('/livez'));
  expect([live.status, live.headers.get('connection')]).toEqual([200, 'close']);
  expect(app.phases()).toEqual(PHASES.slice(0, 3));

  await fetch(await app.url('/finish'), { method: 'POST' });
  const response = await inFlight;
  expect([response.status, await response.text()]).toEqual([200, 'done']);
  expect(await app.exited).toEqual([0, null]);
  expect(app.phases()).toEqual(PHASES);
});

it('takes new connections until balancers have noticed, with nothing left to do', async () => {
  const app = start({ TYRUM_DRAIN_NOTICE_MS: '1000' });
  await fetch(await app.url('/finish'), { method: 'POST' });
  app.signal('SIGTERM');
  const { time: begun } = await app.line('draining');
  for (let i = 0; i < 5; i += 1) {
    const ready = await fetch(await app.url('/readyz'), { headers: { connection: 'close' } });
    expect(ready.status).toBe(503);
  }
  const { time: closing } = await app.line('phase began', { phase: 'closeSockets' });
  expect(new Date(String(closing)).getTime() - new Date(String(begun)).getTime()).toBeGreaterThanOrEqual(990);
  expect(await app.exited).toEqual([0, null]);
});

it('leaves hanging work behind, still closes sockets and pools, and exits with 1', async () => {
  const app = start({ TYRUM_TEST_FIXTURE: 'hang', TYRUM_DRAIN_MS: '1000' });
  const inFlight = fetch(await app.url('/work')).catch(() => 'cut');
  await app.line('work began');
  app.signal('SIGTERM');
  expect(await app.exited).toEqual([1, null]);
  expect(await inFlight).toBe('cut');
  expect(app.phases()).toEqual(PHASES);
  expect(await app.line('drain participant left behind')).toMatchObject({ participant: 'fixture finishWork' });
  expect(app.lines.map(({ msg }) => msg)).not.toContain('drain took too long');
});

it('exits at once with 130 at the second SIGINT', async () => {
  const app = start({ TYRUM_TEST_FIXTURE: 'hang' });
  await app.line('listening');
  app.signal('SIGINT');
  await app.line('phase began', { phase: 'finishWork' });
  app.signal('SIGINT');
  expect(await app.exited).toEqual([130, null]);
  expect(app.phases()).toEqual(PHASES.slice(0, 3));
});

it('waits at its end for no connection that asks for nothing', async () => {
  const app = start();
  const port = Number((await app.line('listening'))['port']);
  const silent = connect(port, '127.0.0.1');
  const halfAsked = connect(port, '127.0.0.1', () => halfAsked.write('GET /livez HTTP/1.1\r\nHost: x\r\n'));
  await Promise.all([once(silent, 'connect'), once(halfAsked, 'connect')]);
  await fetch(await app.url('/finish'), { method: 'POST' });
  app.signal('SIGTERM');
  await app.line('phase began', { phase: 'closeSockets' });
  const closingAt = performance.now();
  expect(await app.exited).toEqual([0, null]);
  expect(performance.now() - closingAt).toBeLessThan(5_000);
});

it('answers what comes in until the end, and waits for no further request on that connection', async () => {
  const app = start({ TYRUM_TEST_FIXTURE: 'late' });
  const agent = new Agent({ keepAlive: true });
  const late = request(await app.url('/work'), { agent }).end();
  await app.line('work began');
  app.signal('SIGTERM');
  await app.line('phase began', { phase: 'closeSockets' });
  const [answer] = (await once(late, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  answer.resume();
  const answeredAt = performance.now();
  expect(await app.exited).toEqual([0, null]);
  expect(performance.now() - answeredAt).toBeLessThan(5_000);
  agent.destroy();
});

describe('clients that hold what others need', () => {
  let app: FixtureProcess;
  let port: number;
  beforeEach(async () => {
    app = start({ TYRUM_TEST_FIXTURE: 'crowd' });
    port = Number((await app.line('listening'))['port']);
  });
  /** What comes back on a connection that sends `first`, then a byte now and then, until it is closed. */
  const drip = async (first: string): Promise<{ answer: string; ms: number }> => {
    const openedAt = performance.now();
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    let answer = '';
    socket.on('data', (data) => (answer += data.toString()));
    if (first !== '') socket.write(first);
    const dripping = setInterval(() => (first === '' ? undefined : socket.write('x')), 20);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(dripping);
    return { answer, ms: performance.now() - openedAt };
  };

  it('are closed when a head, a body or anything at all is too long in coming, and others are served meanwhile', async () => {
    const slow = Promise.all([
      drip('GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: '),
      drip(''),
      drip('POST /finish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"'),
    ]);
    expect((await fetch(await app.url('/livez'))).status).toBe(200);
    const [head, nothing, body] = await slow;
    for (const { answer } of [head, nothing, body]) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    for (const { ms } of [head, nothing]) expect(ms).toBeGreaterThanOrEqual(450);
    expect(body.ms).toBeGreaterThanOrEqual(950);
    for (const { ms } of [head, nothing, body]) expect(ms).toBeLessThan(10_000);
  });

  it('are no more than there is room for', async () => {
    const flood = Array.from({ length: 30 }, () => connect(port, '127.0.0.1'));
    for (const socket of flood) socket.on('error', () => undefined).resume();
    const closed = (socket: Socket) => socket.destroyed;
    await eventually(() => expect(flood.filter(closed).length).toBeGreaterThanOrEqual(20));
    // Those who were let in go when their time is up, and there is room again.
    await eventually(() => expect(flood.filter(closed)).toHaveLength(30));
    const metrics = await (await fetch(await app.url('/metrics'))).text();
    expect(Number(/^tyrum_http_connections_refused_total (\d+)$/m.exec(metrics)?.[1])).toBe(20);
  });
});

it('crashes with 1 at an unhandled rejection', async () => {
  const app = start();
  await fetch(await app.url('/reject'), { method: 'POST' }).catch(() => undefined);
  expect(await app.exited).toEqual([1, null]);
  expect(await app.line('unhandled rejection')).toMatchObject({
    level: 'fatal',
    err: { message: 'nobody catches this' },
  });
});

it('exits with 1 when it cannot boot, and when the port is taken', async () => {
  const broken = start({ TYRUM_TEST_FIXTURE: 'boot' });
  expect(await broken.exited).toEqual([1, null]);
  expect(await broken.line('boot failed')).toMatchObject({ err: { message: 'the fixture refuses to boot' } });

  const first = start();
  const second = start({ TYRUM_PORT: String((await first.line('listening'))['port']) });
  expect(await second.exited).toEqual([1, null]);
  expect(await second.line('boot failed')).toMatchObject({ err: { code: 'EADDRINUSE' } });
});

it('exits with 78 and every problem on stderr when the configuration is bad', async () => {
  const app = start({ TYRUM_PORT: 'http', TYRUM_POLICY: 'maybe' }, ['--port=80']);
  expect(await app.exited).toEqual([78, null]);
  expect(app.stdout).toBe('');
  for (const name of ['TYRUM_PORT', 'TYRUM_POLICY', '--port']) expect(app.stderr).toContain(`  ${name} `);
});

it('prints help and exits with 0', async () => {
  const app = start({ TYRUM_PORT: 'http' }, ['--help']);
  expect(await app.exited).toEqual([0, null]);
  expect(app.stdout).toContain('TYRUM_DATABASE_URL');
});
