import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from './cluster';
import { SqliteView } from './database';
import type { LinkFault } from './fault-proxy';
import type { Random } from './random';
import type { Role } from './slot';

/** A way to make things go wrong. It has made good what it did when its promise resolves. */
export interface Nemesis {
  readonly name: string;
  /** In a short run, the ones without which it proves nothing. */
  readonly essential: boolean;
  readonly applies: (cluster: Cluster) => boolean;
  /** Draws what it will hit. */
  readonly target: (cluster: Cluster, random: Random) => string;
  readonly strike: (cluster: Cluster, target: string, random: Random) => Promise<void>;
}

const always = () => true;
const onPostgres = (cluster: Cluster) => cluster.postgres !== undefined;
const withRedis = (cluster: Cluster) => cluster.redis !== undefined;
const anyOf =
  (...roles: Role[]) =>
  (cluster: Cluster, random: Random) =>
    random.pick(roles.flatMap((role) => cluster.slotsOf(role))).name;
const named = (name: string) => () => name;

const kill = (name: string, target: Nemesis['target']): Nemesis => ({
  name,
  essential: true,
  applies: always,
  target,
  strike: async (cluster, slot) => {
    cluster.slot(slot).signal('SIGKILL');
    // Nothing else, until its leases must have been taken over: how long that takes is a promise too.
    await pause(ttls(cluster, 1.6));
  },
});

/** A fault on a process' link to Postgres, for some multiple of the TTL. */
const badLink = (
  name: string,
  fault: LinkFault,
  [low, high]: readonly [number, number],
  essential = false,
): Nemesis => ({
  name,
  essential,
  applies: onPostgres,
  target: anyOf('worker', 'worker', 'edge', 'scheduler'),
  strike: async (cluster, slot, random) => {
    const proxy = cluster.slot(slot).options.postgres;
    proxy?.set(fault);
    await pause(ttls(cluster, low + random.next() * (high - low)));
    proxy?.set({ kind: 'pass' });
  },
});

/** Stopped past its lease and woken: it must find out before it writes. */
const stopped: Nemesis = {
  name: 'pause',
  essential: true,
  applies: always,
  target: anyOf('worker', 'worker', 'worker', 'scheduler', 'edge'),
  strike: async (cluster, slot, random) => {
    cluster.slot(slot).signal('SIGSTOP');
    await pause(ttls(cluster, 1.5 + random.next() * 1.5));
    cluster.slot(slot).signal('SIGCONT');
  },
};

/**
 * A worker whose write is on its way when it is taken for dead, and arrives afterwards. Postgres: its link holds the bytes
 * back. SQLite: it is stopped while it waits for the write lock.
 */
const lateWrite: Nemesis = {
  name: 'late_write',
  essential: true,
  applies: always,
  target: anyOf('worker'),
  strike: async (cluster, slot, random) => {
    const { view } = cluster;
    if (!(view instanceof SqliteView)) {
      cluster.slot(slot).options.postgres?.set({ kind: 'stall' });
      await pause(ttls(cluster, 2));
      cluster.slot(slot).options.postgres?.set({ kind: 'pass' });
      return;
    }
    // It takes one that has something to write just then: two get their chance.
    const others = cluster.slotsOf('worker').filter(({ name }) => name !== slot);
    for (const worker of [slot, random.pick(others).name]) {
      const unlock = await view.holdLock();
      await pause(700);
      cluster.slot(worker).signal('SIGSTOP');
      await unlock();
      await pause(ttls(cluster, 1.7));
      cluster.slot(worker).signal('SIGCONT');
      await pause(500);
    }
  },
};

const cutCommits: Nemesis = {
  name: 'commit_cut',
  essential: true,
  applies: onPostgres,
  target: anyOf('worker', 'edge', 'worker', 'scheduler'),
  strike: async (cluster, slot, random) => {
    // A scheduler may have nothing to commit for a while; the edge always has.
    const slots = [slot, 'edge-1'];
    for (let i = 0; i < 4; i += 1) {
      for (const each of slots) cluster.cutNextCommit.set(each, random.pick(['before', 'after', 'after']));
      await pause(500);
    }
    for (const each of slots) cluster.cutNextCommit.delete(each);
  },
};

export const NEMESES: readonly Nemesis[] = [
  kill('kill', anyOf('worker')),
  { ...kill('kill', anyOf('edge')), name: 'kill_edge' },
  { ...kill('kill', anyOf('scheduler')), name: 'kill_scheduler', essential: false },
  stopped,
  lateWrite,
  cutCommits,
  {
    name: 'postgres_restart',
    essential: true,
    applies: onPostgres,
    target: named('postgres'),
    strike: async (cluster) => cluster.postgres?.restartImmediate(),
  },
  {
    name: 'postgres_terminate',
    essential: false,
    applies: onPostgres,
    target: named('postgres'),
    strike: async ({ view }) => {
      await view.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where pid <> pg_backend_pid() and backend_type = 'client backend'`);
    },
  },
  {
    name: 'terminate',
    essential: false,
    applies: always,
    target: anyOf('worker', 'scheduler', 'edge', 'desktop-runtime'),
    strike: async (cluster, slot) => {
      const process = cluster.slot(slot).current;
      if (!cluster.slot(slot).signal('SIGTERM')) return;
      await Promise.race([process?.exited, pause(15_000, undefined, { ref: false })]);
    },
  },
  {
    name: 'block_loop',
    essential: false,
    applies: always,
    target: anyOf('worker', 'worker', 'edge', 'scheduler'),
    strike: async (cluster, slot) => {
      cluster.slot(slot).signal('SIGUSR2');
      await pause(cluster.options.blockMs);
    },
  },
  {
    name: 'answer_lost',
    essential: true,
    applies: always,
    target: anyOf('edge'),
    strike: async (cluster, slot) => {
      for (let i = 0; i < 2; i += 1) {
        // The first time the edge lives on, the second time it dies with the answer on its way.
        cluster.loseNextAnswer.set(slot, i === 0 ? () => {} : () => void cluster.slot(slot).signal('SIGKILL'));
        await pause(1_000);
      }
      cluster.loseNextAnswer.delete(slot);
    },
  },
  {
    name: 'client_cut',
    essential: false,
    applies: always,
    target: anyOf('edge'),
    strike: async (cluster, slot) => {
      for (let i = 0; i < 4; i += 1) {
        cluster.slot(slot).options.door?.cut();
        await pause(400);
      }
    },
  },
  {
    name: 'client_slow',
    essential: false,
    applies: always,
    target: anyOf('edge'),
    strike: async (cluster, slot) => {
      const { door } = cluster.slot(slot).options;
      door?.set({ kind: 'throttle', bytesPerSecond: 20_000 });
      await pause(3_000);
      door?.set({ kind: 'half_open' });
      await pause(2_000);
      door?.set({ kind: 'pass' });
    },
  },
  badLink('link_black_hole', { kind: 'black_hole' }, [1.2, 2.5]),
  badLink('link_half_open', { kind: 'half_open' }, [1.2, 2.5]),
  badLink('link_delay', { kind: 'delay', ms: 150 }, [1, 2]),
  badLink('link_throttle', { kind: 'throttle', bytesPerSecond: 40_000 }, [1, 2]),
  badLink('link_refuse', { kind: 'refuse' }, [0.5, 1.5]),
  {
    name: 'redis_kill',
    essential: false,
    applies: withRedis,
    target: named('redis'),
    strike: async (cluster) => {
      await cluster.redis?.kill('SIGKILL');
      // Twice as long as the poll pauses: who only waits for wake-ups is found out.
      await pause(7_000);
      await cluster.redis?.start();
    },
  },
  {
    name: 'redis_flush',
    essential: false,
    applies: withRedis,
    target: named('redis'),
    strike: async ({ redis }) => {
      const socket = connect(redis?.port ?? 0, '127.0.0.1');
      socket.on('error', () => {});
      socket.write('FLUSHALL\r\n');
      await Promise.race([once(socket, 'data'), pause(2_000, undefined, { ref: false })]);
      socket.destroy();
    },
  },
  {
    name: 'clock_jump',
    essential: false,
    // One host has one clock: on SQLite there is nothing to disagree with.
    applies: (cluster) => onPostgres(cluster) && cluster.hasFaketime,
    target: anyOf('worker', 'scheduler', 'scheduler', 'edge'),
    strike: async (cluster, slot, random) => {
      cluster.slot(slot).setClock(random.pick(['+600', '-600', '+3600', '-90']));
      await pause(ttls(cluster, 2));
      cluster.slot(slot).setClock('+0');
    },
  },
];

function ttls(cluster: Cluster, factor: number): number {
  return Math.round(cluster.options.ttlMs * factor);
}
