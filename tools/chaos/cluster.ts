import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { freePort, startOwnPostgres, startOwnRedis, type OwnPostgres, type OwnRedis } from '@tyrum/test-services';
import { PostgresView, SqliteView, type DatabaseView } from './database';
import { FaultProxy } from './fault-proxy';
import type { HistoryWriter } from './history';
import { Slot, type Role } from './slot';

export interface ClusterOptions {
  readonly store: 'sqlite' | 'postgres';
  readonly backplane: 'redis' | 'postgres' | 'local';
  readonly folder: string;
  readonly ttlMs: number;
  readonly blockMs: number;
  readonly history: HistoryWriter;
}

/** Each role in a process of its own, as in a cluster, and all of them in one, as on a laptop. */
const PROCESSES: Readonly<Record<string, Slot['options']['roles']>> = {
  'edge-1': ['edge'],
  'worker-1': ['worker'],
  'worker-2': ['worker'],
  'scheduler-1': ['scheduler'],
  'desktop-1': ['desktop-runtime'],
  'all-1': ['edge', 'worker', 'scheduler'],
};
const FAKETIME_PATHS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'];
/** The message that ends a transaction: a simple query of exactly that text. */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1');

/** Processes of every role around one database, with a fault proxy on each of their links. */
export class Cluster {
  readonly slots: Slot[] = [];
  readonly token = `tyrum-token.v1.${randomUUID()}.${'chaos'.padEnd(43, 'x')}`;
  postgres: OwnPostgres | undefined;
  redis: OwnRedis | undefined;
  view: DatabaseView;
  /** What the next COMMIT of a slot meets. */
  readonly cutNextCommit = new Map<string, 'before' | 'after'>();
  /** Called when the next acceptance comes back from that edge, which then never arrives. */
  readonly loseNextAnswer = new Map<string, () => void>();
  private readonly proxies: FaultProxy[] = [];

  private constructor(readonly options: ClusterOptions) {}

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    try {
      await cluster.boot();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  slot(name: string): Slot {
    const found = this.slots.find((slot) => slot.name === name);
    if (!found) throw new Error(`there is no ${name}`);
    return found;
  }

  slotsOf(role: Role): Slot[] {
    return this.slots.filter((slot) => slot.options.roles.includes(role));
  }

  get hasFaketime(): boolean {
    return this.slots.some((slot) => slot.options.faketime !== undefined);
  }

  /** Ends the apps in order; returns what was not orderly about it. */
  async stopApps(): Promise<string[]> {
    const codes = await Promise.all(this.slots.map(async (slot) => [slot.instance, await slot.stop()] as const));
    const unclean = codes.filter(([, code]) => code !== 0).map(([name, code]) => `${name} exited with ${code}`);
    return [...unclean, ...this.leftOvers()];
  }

  async stop(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.stop()));
    await this.view?.close();
    for (const proxy of this.proxies) await proxy.stop();
    await this.redis?.stop();
    await this.postgres?.stop();
  }

  /** ToolRunners and commands without a worker, known by this run's folder: told of, and ended, for nobody else will. */
  private leftOvers(): string[] {
    const found: string[] = [];
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        if (/tool-runner|effect\.sh/.test(command) && command.includes(this.options.folder)) {
          found.push(`process ${pid} was left running: ${command.slice(0, 120)}`);
          process.kill(Number(pid), 'SIGKILL');
        }
      } catch {
        continue; // it ended while we looked
      }
    }
    return found;
  }

  private async boot(): Promise<void> {
    const { store, backplane, folder } = this.options;
    if (store === 'postgres') {
      this.postgres = await startOwnPostgres();
      this.view = new PostgresView(this.postgres.url);
    } else this.view = new SqliteView(join(folder, 'tyrum.db'));
    if (backplane === 'redis') this.redis = await startOwnRedis();
    const faketime = store === 'postgres' ? findFaketime() : undefined;
    for (const [name, roles] of Object.entries(PROCESSES)) {
      const postgres = this.postgres && (await this.postgresProxy(name, this.postgres.port));
      const redisPort = this.redis?.port;
      const redis = redisPort === undefined ? undefined : await this.proxy(() => redisPort);
      this.slots.push(
        new Slot({
          name,
          roles,
          folder,
          history: this.options.history,
          env: await this.environment(roles, postgres, redis),
          ...(postgres ? { postgres } : {}),
          ...(redis ? { redis } : {}),
          ...(roles[0] === 'edge' ? { door: await this.edgeProxy(name) } : {}),
          ...(faketime ? { faketime } : {}),
        }),
      );
    }
    for (const slot of this.slots) await slot.start();
  }

  private async environment(
    roles: readonly Role[],
    postgres?: FaultProxy,
    redis?: FaultProxy,
  ): Promise<Record<string, string>> {
    const { folder, ttlMs, blockMs, backplane } = this.options;
    return {
      TYRUM_HOME: folder,
      TYRUM_DATABASE_URL: postgres
        ? `postgres://postgres@127.0.0.1:${postgres.port}/postgres`
        : `sqlite:${join(folder, 'tyrum.db')}`,
      TYRUM_BACKPLANE: backplane,
      ...(redis ? { TYRUM_REDIS_URL: `redis://127.0.0.1:${redis.port}` } : {}),
      TYRUM_LEASE_TTL_MS: String(ttlMs),
      TYRUM_WORKER_CONCURRENCY: '12',
      TYRUM_DRAIN_MS: '12000',
      CHAOS_BLOCK_MS: String(blockMs),
      // An edge comes back where it was, as it would behind a load balancer.
      ...(roles[0] === 'edge'
        ? { TYRUM_BOOTSTRAP_TOKEN: this.token, TYRUM_ROLES: roles.join(','), TYRUM_PORT: String(await freePort()) }
        : {}),
    };
  }

  private async proxy(target: () => number): Promise<FaultProxy> {
    const proxy = await FaultProxy.start({ target });
    this.proxies.push(proxy);
    return proxy;
  }

  private async edgeProxy(slot: string): Promise<FaultProxy> {
    const proxy = await FaultProxy.start({
      target: () => this.slot(slot).port,
      inspect: (data, direction) => {
        const lose = direction === 'down' && data.includes('HTTP/1.1 202') ? this.loseNextAnswer.get(slot) : undefined;
        if (!lose) return 'forward';
        this.loseNextAnswer.delete(slot);
        lose();
        return 'cut';
      },
    });
    this.proxies.push(proxy);
    return proxy;
  }

  private async postgresProxy(slot: string, port: number): Promise<FaultProxy> {
    const proxy = await FaultProxy.start({
      target: () => port,
      inspect: (data, direction) => {
        const cut = direction === 'up' && data.includes(COMMIT) ? this.cutNextCommit.get(slot) : undefined;
        if (!cut) return 'forward';
        this.cutNextCommit.delete(slot);
        this.options.history.write({ kind: 'commit_cut', slot });
        return cut === 'before' ? 'cut' : 'cut_after';
      },
    });
    this.proxies.push(proxy);
    return proxy;
  }
}

function findFaketime(): string | undefined {
  return FAKETIME_PATHS.map((path) => join(path, 'faketime', 'libfaketime.so.1')).find((path) => existsSync(path));
}
