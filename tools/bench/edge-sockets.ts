import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appendEvents } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { spawnApp, type AppProcess } from '../test-services/spawn-app';
import type { ContenderDatabase, OpenSockets } from './contender';
import { Engine } from './engine';

/** Built apps around one database, as they are shipped. */
export interface RunningApps {
  readonly token: string;
  start(app: string, env?: Record<string, string>): Promise<AppProcess>;
  stop(): Promise<void>;
}

export function apps(databaseUrl: string): RunningApps {
  const home = mkdtempSync(join(tmpdir(), 'tyrum-bench-home-'));
  const token = `tyrum-token.v1.${randomUUID()}.${'bench'.padEnd(43, 'x')}`;
  const running: AppProcess[] = [];
  return {
    token,
    start: async (app, env = {}) => {
      const own = { TYRUM_DATABASE_URL: databaseUrl, TYRUM_HOME: home, ...env };
      const given = app === 'edge' ? { ...own, TYRUM_BOOTSTRAP_TOKEN: token } : own;
      const started = await spawnApp(app, given, { sourceMaps: false });
      running.push(started);
      return started;
    },
    stop: async () => {
      await Promise.all(running.map((app) => app.stop()));
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Edges, and somebody who commits events as every writer does: the row, then the wake-up. */
export async function openEdges({
  database,
  processes,
}: {
  readonly database: ContenderDatabase;
  readonly processes: number;
}): Promise<OpenSockets> {
  const running = apps(database.address);
  const edges: AppProcess[] = [];
  for (let i = 0; i < processes; i += 1) edges.push(await running.start('edge'));
  const engine = await Engine.open(database);
  return {
    urls: edges.map(({ port }) => `ws://127.0.0.1:${port}/ws`),
    pids: edges.map(({ pid }) => pid),
    greeting: 'tyrum',
    token: running.token,
    publish: async ({ event_id: eventId, type, payload }) => {
      const event = { eventId, tenantId: DEFAULT_TENANT_ID, type, scope: { kind: 'global' as const }, payload };
      await engine.store.transaction((tx) => appendEvents(tx, [{ ...event, occurredAt: Date.now() }]));
      engine.backplane.publish('outbox');
    },
    close: async () => {
      await engine.close();
      await running.stop();
    },
  };
}
