import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseAddress, StateStore, Statement } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually, fakeClockEnv } from '@tyrum/test-services';
import type { ContenderReport } from './testing/lease-contender';

const TTL_MS = 1_000;
/** How long a trouble lasts: long enough for a takeover, with room for a busy machine. */
const TROUBLE_MS = 3 * TTL_MS;
const REGISTER = join(__dirname, '..', '..', '..', 'tools', 'chaos', 'register.cjs');
const SCRIPT = join(__dirname, 'testing', 'lease-contender.ts');

const both = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: text });
const createLedger: Statement = {
  name: 'create-ledger',
  postgres: `create table lease_write (seq bigint generated always as identity, token bigint, owner text, expires_at bigint)`,
  sqlite: `create table lease_write (seq integer primary key, token integer, owner text, expires_at integer)`,
};

/** A process that wants the lease, and what it has told. */
class Contender {
  readonly reports: ContenderReport[] = [];

  constructor(
    readonly owner: string,
    readonly process: ChildProcess,
    /** Between it and Postgres. */
    readonly proxy: Proxy | undefined,
    private readonly clock: string,
  ) {
    process.on('message', (report) => this.reports.push(report as ContenderReport));
  }

  get refusals(): number {
    return this.reports.filter(({ event }) => event === 'refused').length;
  }

  setClock(offset: string): void {
    writeFileSync(this.clock, `${offset}\n`);
  }
}

/** Passes bytes on, or swallows them in silence as a network does that has lost its route. */
class Proxy {
  private isHole = false;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async open(target: { host: string; port: number }): Promise<Proxy> {
    const server = createServer();
    const proxy = new Proxy(server);
    server.on('connection', (client) => {
      const upstream = connect(target);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        proxy.sockets.add(from);
        from.on('data', (bytes) => void (proxy.isHole || to.write(bytes)));
        from.on('error', () => undefined);
        from.on('close', () => {
          proxy.sockets.delete(from);
          to.destroy();
        });
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** What is lost does not come later: the connections that lost something end with the trouble. */
  swallow(isHole: boolean): void {
    this.isHole = isHole;
    if (!isHole) for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.swallow(false);
    this.server.close();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describeOnBothDialects('three processes that want one lease', (stores) => {
  let store: StateStore;
  let folder: string;
  let contenders: Contender[];

  beforeEach(async () => {
    store = await stores().open();
    folder = mkdtempSync(join(tmpdir(), 'tyrum-leases-'));
    await store.execute(createLedger);
    contenders = await Promise.all(['a', 'b', 'c'].map(start));
  });

  afterEach(async () => {
    for (const { process, proxy } of contenders) {
      const exited = once(process, 'exit');
      process.kill('SIGKILL');
      await exited;
      proxy?.close();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(owner: string): Promise<Contender> {
    const clock = join(folder, `clock-${owner}`);
    writeFileSync(clock, '+0\n');
    const { address, proxy } = await behindProxy(stores().address);
    const args = [JSON.stringify(address), owner, String(TTL_MS)];
    const env = { ...process.env, ...fakeClockEnv(clock) };
    return new Contender(owner, fork(SCRIPT, args, { execArgv: ['-r', REGISTER], env }), proxy, clock);
  }

  async function behindProxy(address: DatabaseAddress) {
    if (address.kind === 'sqlite') return { address, proxy: undefined };
    const url = new URL(address.url);
    const proxy = await Proxy.open({ host: url.hostname, port: Number(url.port) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    return { address: { ...address, url: url.toString() }, proxy };
  }

  async function holder(): Promise<Contender> {
    return eventually(
      async () => {
        const [row] = await store.execute<{ owner: string }>(
          both('select owner from lease_write order by seq desc limit 1'),
        );
        const [lease] = await store.execute<{ owner: string }>(
          both(`select owner from lease where kind = 'contended'`),
        );
        const found = contenders.find(({ owner }) => owner === row?.owner && owner === lease?.owner);
        if (!found) throw new Error('nobody writes under the lease');
        return found;
      },
      { timeoutMs: 60_000 },
    );
  }

  /** Strikes whoever holds the lease, until somebody else has it; then waits for the old holder to be refused. */
  async function strike(trouble: (holder: Contender) => Promise<void>): Promise<void> {
    const old = await holder();
    const refusals = old.refusals;
    await trouble(old);
    await eventually(async () => expect((await holder()).owner).not.toBe(old.owner), { timeoutMs: 60_000 });
    await eventually(() => expect(old.refusals).toBeGreaterThan(refusals), { timeoutMs: 60_000 });
  }

  /** What was written under the lease, and who took it from whom when. */
  async function verdict() {
    const writes = await store.execute<{ seq: number; token: number; expires_at: number }>(
      both('select seq, token, expires_at from lease_write order by seq'),
    );
    const taken = await store.execute<{ token: number; at: number }>(
      both(`select token, at from lease_history where kind = 'contended' and reason = 'taken_over' order by token`),
    );
    const stale = writes.filter((row, i) => row.token < Math.max(...writes.slice(0, i).map(({ token }) => token), 0));
    const early = taken.filter(({ token, at }) => writes.some((row) => row.token === token - 1 && row.expires_at > at));
    const refused = contenders.reduce((sum, contender) => sum + contender.refusals, 0);
    return { stale: stale.length, early: early.length, taken: taken.length, refused };
  }

  it.each<[string, (holder: Contender) => Promise<void>]>([
    [
      'is stopped for longer than the lease',
      async ({ process }) => {
        process.kill('SIGSTOP');
        await pause(TROUBLE_MS);
        process.kill('SIGCONT');
      },
    ],
    [
      'does not get to its timers for longer than the lease',
      async ({ process }) => {
        process.send({ blockMs: TROUBLE_MS });
        await pause(TROUBLE_MS);
      },
    ],
  ])(
    'never write under an old token, and take over no earlier than it ran out, when its holder %s',
    async (_what, trouble) => {
      for (let round = 0; round < 2; round += 1) await strike(trouble);
      const { stale, early, taken, refused } = await verdict();
      expect({ stale, early }).toEqual({ stale: 0, early: 0 });
      expect(taken).toBeGreaterThanOrEqual(2);
      expect(refused).toBeGreaterThanOrEqual(2);
    },
  );

  it('never write under an old token, nor take over early, when the holder’s renewals hang', async () => {
    if (store.dialect === 'postgres') {
      await strike(async ({ proxy }) => {
        proxy?.swallow(true);
        await pause(TROUBLE_MS);
        proxy?.swallow(false);
      });
      expect((await verdict()).taken).toBeGreaterThanOrEqual(1);
    } else {
      // Everybody's hang: one writer has the file. Whoever comes first afterwards has the lease, the old holder perhaps.
      await holder();
      await store.transaction(() => pause(TROUBLE_MS));
      const [before] = await store.execute<{ n: number }>(both('select count(*) as n from lease_write'));
      await eventually(async () => {
        await holder();
        const [now] = await store.execute<{ n: number }>(both('select count(*) as n from lease_write'));
        expect(now?.n).toBeGreaterThan(before?.n ?? 0);
      });
    }
    const { stale, early } = await verdict();
    expect({ stale, early }).toEqual({ stale: 0, early: 0 });
  });

  it('do as ever when the clock of one, or on SQLite of the host, jumps an hour ahead and back', async () => {
    const jump = (offsets: readonly string[]) => contenders.forEach((each, i) => each.setClock(offsets[i] ?? '+0'));
    await holder();
    // Postgres has a clock of its own, which none of these is. On SQLite the host's is the database's: it jumps for all.
    const ahead = store.dialect === 'postgres' ? ['+3600', '-3600', '+0'] : ['+3600', '+3600', '+3600'];
    jump(ahead);
    await pause(TROUBLE_MS);
    if (store.dialect === 'postgres') {
      expect((await verdict()).taken).toBe(0);
      await strike(async ({ process }) => {
        process.kill('SIGSTOP');
        await pause(TROUBLE_MS);
        process.kill('SIGCONT');
      });
    } else {
      // An hour late, it may have been taken at once from a holder that was alive: it is refused, or it was first to renew.
      await holder();
    }
    jump([]);
    await pause(TTL_MS);
    await holder();
    const { stale, early } = await verdict();
    expect({ stale, early }).toEqual({ stale: 0, early: 0 });
  });
});
