import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalBackplane } from '@tyrum/backplane';
import { DEFAULT_TENANT_ID, ScheduleCreateBody, validatePayload } from '@tyrum/protocol';
import { Schedules } from '@tyrum/scheduling';
import type { StateStore, Statement } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually, spawnApp, type AppProcess } from '@tyrum/test-services';

const TTL_MS = 1_000;
const SCHEDULES = 12;

const both = (name: string, text: string): Statement => ({ name, postgres: text, sqlite: text });
const allFirings = both('firings', 'select schedule_id, instant, turn_id from firing order by schedule_id, instant');
const allTurns = both('turns', 'select turn_id from turn');
const takeovers = both('takeovers', `select token from lease_history where reason = 'taken_over'`);
const writeNothing = both('write-nothing', 'update lease set token = token');
/** Much longer than a transaction takes. */
const PATIENCE_MS = 500;

interface FiringRow {
  readonly schedule_id: string;
  readonly instant: number;
  readonly turn_id: string;
}

/** Stops the process outside of a transaction: a stopped writer would hold SQLite's only write lock until it goes on. */
async function pause(app: AppProcess, store: StateStore): Promise<void> {
  for (;;) {
    app.kill('SIGSTOP');
    const written = store.execute(writeNothing).then(() => true);
    if (await Promise.race([written, after(PATIENCE_MS)])) return;
    app.kill('SIGCONT');
    await written;
  }
}

function after(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}

describeOnBothDialects('the scheduler process', (stores) => {
  let home: string;
  let processes: AppProcess[] = [];

  beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'tyrum-scheduler-'))));
  afterEach(async () => {
    await Promise.all(processes.map((app) => app.stop()));
    processes = [];
    rmSync(home, { recursive: true, force: true });
  });

  async function start(): Promise<AppProcess> {
    const { address } = stores();
    const app = await spawnApp('scheduler', {
      TYRUM_HOME: home,
      TYRUM_DATABASE_URL: address.kind === 'sqlite' ? `sqlite:${address.path}` : address.url,
      TYRUM_LEASE_TTL_MS: String(TTL_MS),
    });
    processes.push(app);
    return app;
  }

  it('answers its probes and stops with 0 at SIGTERM', async () => {
    const app = await start();
    expect((await fetch(`http://127.0.0.1:${app.port}/livez`)).status).toBe(200);
    await eventually(async () => {
      const ready = await fetch(`http://127.0.0.1:${app.port}/readyz`);
      expect([ready.status, await ready.json()]).toMatchObject([
        200,
        { status: 'ready', checks: expect.arrayContaining([expect.objectContaining({ name: 'database', ok: true })]) },
      ]);
    });
    app.kill('SIGTERM');
    expect(await app.exited).toEqual({ code: 0, signal: null });
    const store = await stores().open();
    expect(await store.execute(both('held', 'select name from lease where owner is not null'))).toEqual([]);
  });

  it('fires every instant exactly once while one is killed and another is paused beyond its lease', async () => {
    const store = await stores().open();
    const schedules = new Schedules(store, new LocalBackplane(), randomUUID);
    const first = new Map<string, number>();
    for (let i = 0; i < SCHEDULES; i += 1) {
      const execution = {
        kind: 'steps',
        conversation_key: `agent:default:dm:${i}`,
        steps: [{ type: 'CLI', args: { cmd: 'true', args: [] } }],
      };
      const cadence = { type: 'interval', interval_ms: 1_000 };
      const body = validatePayload(ScheduleCreateBody, { kind: 'heartbeat', cadence, execution });
      const created = await schedules.create(DEFAULT_TENANT_ID, body);
      first.set(created.schedule_id, Date.parse(created.next_fire_at ?? ''));
    }
    const [killed, paused] = [await start(), await start(), await start()] as const;
    const firings = () => store.execute<FiringRow>(allFirings);
    const reach = (perSchedule: number) =>
      eventually(async () => expect((await firings()).length).toBeGreaterThanOrEqual(perSchedule * SCHEDULES), {
        timeoutMs: 30_000,
      });
    await reach(3);
    killed.kill('SIGKILL');
    await pause(paused, store);
    await eventually(async () => expect((await store.execute(takeovers)).length).toBeGreaterThan(1), {
      timeoutMs: 20_000,
    });
    await reach(8);
    paused.kill('SIGCONT');
    await reach(12);
    await Promise.all(processes.map((app) => app.stop()));

    const rows = await firings();
    for (const [id, start] of first) {
      const own = rows.filter((row) => row.schedule_id === id).map((row) => row.instant);
      expect(own.length).toBeGreaterThan(8);
      expect(own).toEqual(own.map((_, i) => start + i * 1_000));
    }
    const turns = await store.execute<{ turn_id: string }>(allTurns);
    expect(turns.map((turn) => turn.turn_id).sort()).toEqual(rows.map((row) => row.turn_id).sort());
  });
});
