import { randomUUID } from 'node:crypto';
import { LocalBackplane } from '@tyrum/backplane';
import { TestEngine, cliStep } from '@tyrum/execution/testing';
import { Leases } from '@tyrum/leases';
import { DEFAULT_TENANT_ID, ScheduleCreateBody, validatePayload, type Cadence, type Schedule } from '@tyrum/protocol';
import { NOW_MS, type StateStore, type Statement } from '@tyrum/statestore';
import { Tenants } from '@tyrum/statestore/records';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { ScheduleFirer, type DueSchedule } from './schedule-firer';
import { SchedulerLoop } from './scheduler-loop';
import type { SchedulerObserver } from './scheduler-observer';
import { SHARD_COUNT, SHARD_LEASE_KIND, SchedulerShards, shardName, shardOf } from './scheduler-shards';
import { Schedules } from './schedules';
import { findDueSchedules } from './sql/find-due-schedules';

const SECONDLY: Cadence = { type: 'interval', interval_ms: 1_000 };

/** Statements of the tests: each runs the same on both dialects. */
function both(name: string, text: string): Statement {
  return { name, postgres: text, sqlite: text.replace(/\$(\d)/g, '?$1').replace(/::\w+/g, '') };
}
const setNext = both('set-next', 'update schedule set next_fire_at = $2::bigint where schedule_id = $1');
const setAllBack = {
  name: 'set-all-back',
  postgres: `update schedule set created_at = ${NOW_MS.postgres} - $1::bigint, next_fire_at = ${NOW_MS.postgres} - $1::bigint + 1000`,
  sqlite: `update schedule set created_at = ${NOW_MS.sqlite} - ?1, next_fire_at = created_at`,
};
const startAtCreation = both('start', 'update schedule set next_fire_at = created_at + 1000');
const breakSteps = both('break', `update schedule set execution = '{"kind":"steps"}' where schedule_id = $1`);
const expireLeases = both('expire', 'update lease set expires_at = 0');
const allTurns = both(
  'turns',
  `select turn_id, trigger_kind, kind, input, conversation_key from turn order by turn_seq`,
);
const allFirings = both('firings', 'select schedule_id, instant, turn_id from firing order by schedule_id, instant');
const readSchedule = both('schedule', 'select * from schedule where schedule_id = $1');

interface FiringRow {
  readonly schedule_id: string;
  readonly instant: number;
  readonly turn_id: string;
}

class Recording implements SchedulerObserver {
  firedCount = 0;
  caughtUp = 0;
  shards = 0;
  readonly fencedNames: string[] = [];
  readonly postponedIds: string[] = [];
  readonly troubles: unknown[] = [];
  fired(firing: { caughtUp: boolean }): void {
    this.firedCount += 1;
    if (firing.caughtUp) this.caughtUp += 1;
  }
  fenced(lease: { name: string }): void {
    this.fencedNames.push(lease.name);
  }
  postponed(schedule: { scheduleId: string }): void {
    this.postponedIds.push(schedule.scheduleId);
  }
  shardsHeld(count: number): void {
    this.shards = count;
  }
  trouble(_what: string, error: unknown): void {
    this.troubles.push(error);
  }
}

/** One scheduler as a process has it. */
class Scheduler {
  readonly observer = new Recording();
  readonly leases: Leases;
  readonly firer: ScheduleFirer;
  readonly schedules: Schedules;
  readonly backplane = new LocalBackplane();
  readonly shards: SchedulerShards;
  readonly loop: SchedulerLoop;

  constructor(
    readonly store: StateStore,
    ttlMs = 3_000,
  ) {
    const { intake } = new TestEngine(store, this.backplane);
    this.leases = new Leases(store);
    this.firer = new ScheduleFirer(store, this.leases, intake, randomUUID);
    this.schedules = new Schedules(store, this.backplane, randomUUID);
    const onError = (error: unknown) => this.observer.trouble('renew', error);
    this.shards = new SchedulerShards(this.leases, { owner: randomUUID(), ttlMs, onError });
    const parts = { store, backplane: this.backplane, shards: this.shards, firer: this.firer, intake };
    this.loop = new SchedulerLoop(parts, this.observer, { balanceMs: ttlMs / 2 });
  }

  create(cadence: Cadence, conversationKey = `agent:default:dm:${randomUUID()}`): Promise<Schedule> {
    const kind = cadence.type === 'cron' ? 'cron' : 'heartbeat';
    const execution = { kind: 'steps', conversation_key: conversationKey, steps: [cliStep('true')] };
    return this.schedules.create(DEFAULT_TENANT_ID, validatePayload(ScheduleCreateBody, { kind, cadence, execution }));
  }

  async due(): Promise<DueSchedule[]> {
    const rows = await this.store.read((db) => db.query<DueSchedule>(findDueSchedules, ['0123456789abcdef', 0, 1_000]));
    return rows;
  }

  async stop(): Promise<void> {
    await this.loop.stopClaiming();
    await this.loop.release();
  }
}

describeOnBothDialects('the scheduler', (stores: () => TestStores) => {
  let running: Scheduler[] = [];

  async function open(ttlMs?: number): Promise<Scheduler> {
    const scheduler = new Scheduler(await stores().open(), ttlMs);
    running.push(scheduler);
    return scheduler;
  }

  afterEach(async () => {
    await Promise.all(running.map((scheduler) => scheduler.stop()));
    running = [];
  });

  const firings = (store: StateStore) => store.execute<FiringRow>(allFirings);

  /** Every firing is at an instant of its schedule, none is missing in between, and each has the one turn it names. */
  async function expectEachInstantOnce(store: StateStore, first: ReadonlyMap<string, number>): Promise<void> {
    const rows = await firings(store);
    for (const [id, start] of first) {
      const own = rows.filter((row) => row.schedule_id === id).map((row) => row.instant);
      expect(own).toEqual(own.map((_, i) => start + i * 1_000));
    }
    const turns = await store.execute<{ turn_id: string; trigger_kind: string }>(allTurns);
    expect(turns.map((turn) => turn.turn_id).sort()).toEqual(rows.map((row) => row.turn_id).sort());
    expect(new Set(turns.map((turn) => turn.trigger_kind))).toEqual(new Set(['schedule']));
  }

  async function startSecondly(scheduler: Scheduler, count: number): Promise<Map<string, number>> {
    const created: Schedule[] = [];
    for (let i = 0; i < count; i += 1) created.push(await scheduler.create(SECONDLY));
    await scheduler.store.execute(setAllBack, [10_000]);
    await scheduler.store.execute(startAtCreation);
    const rows = await scheduler.store.execute<{ schedule_id: string; next_fire_at: number }>(
      both('starts', 'select schedule_id, next_fire_at from schedule'),
    );
    expect(rows).toHaveLength(count);
    return new Map(rows.map((row) => [row.schedule_id, row.next_fire_at]));
  }

  it('fires each instant exactly once with three schedulers at once', async () => {
    const all = [await open(), await open(), await open()] as const;
    const [one] = all;
    const first = await startSecondly(one, 30);
    for (const scheduler of all) scheduler.loop.start();
    await eventually(async () => expect((await firings(one.store)).length).toBeGreaterThanOrEqual(30 * 12), {
      timeoutMs: 40_000,
    });
    await eventually(() => expect(all.map((s) => s.observer.shards).every((n) => n > 0)).toBe(true), {
      timeoutMs: 20_000,
    });
    // All of them fire, and none fires what another has.
    await eventually(() => expect(all.map((s) => s.observer.firedCount).every((n) => n > 0)).toBe(true), {
      timeoutMs: 20_000,
    });
    for (const scheduler of all) await scheduler.loop.stopClaiming();
    await expectEachInstantOnce(one.store, first);
    const total = all.reduce((sum, s) => sum + s.observer.firedCount, 0);
    expect(total).toBe((await firings(one.store)).length);
    expect(all.flatMap((s) => s.observer.troubles)).toEqual([]);
  });

  it('fires once when all race for the same rows, whatever the leases say', async () => {
    const all = [await open(), await open(), await open()] as const;
    const first = await startSecondly(all[0], 5);
    const leases = new Map<number, Awaited<ReturnType<Leases['acquire']>>>();
    for (let s = 0; s < SHARD_COUNT; s += 1) {
      leases.set(s, await all[0].leases.acquire({ kind: SHARD_LEASE_KIND, name: shardName(s) }, 'shared', 60_000));
    }
    const due = await all[0].due();
    expect(due).toHaveLength(5);
    const outcomes = await Promise.all(
      due.flatMap((row) => all.map((s) => s.firer.fire(row, leases.get(shardOf(row.schedule_id))!))),
    );
    expect(outcomes.filter((o) => o.kind === 'fired')).toHaveLength(5);
    expect(outcomes.filter((o) => o.kind === 'overtaken')).toHaveLength(10);
    await expectEachInstantOnce(all[0].store, first);
  });

  it('goes on after a scheduler crashed, once its leases have expired', async () => {
    const dead = await open();
    // What a crash leaves behind: all shards and a seat, held and never renewed.
    for (const name of ['seat-0', ...Array.from({ length: SHARD_COUNT }, (_, i) => shardName(i))]) {
      expect(await dead.leases.acquire({ kind: SHARD_LEASE_KIND, name }, 'crashed', 1_500)).toBeDefined();
    }
    const survivor = await open(1_500);
    const first = await startSecondly(survivor, 10);
    survivor.loop.start();
    await eventually(() => expect(survivor.observer.shards).toBe(SHARD_COUNT), { timeoutMs: 15_000 });
    await eventually(async () => expect((await firings(survivor.store)).length).toBeGreaterThanOrEqual(100), {
      timeoutMs: 20_000,
    });
    await survivor.loop.stopClaiming();
    await expectEachInstantOnce(survivor.store, first);
    const history = await survivor.leases.history({ kind: SHARD_LEASE_KIND, name: shardName(0) }, 1);
    expect(history).toMatchObject([{ reason: 'taken_over', taken_from: 'crashed', token: 2 }]);
  });

  it('refuses a scheduler that was paused across the expiry of its lease', async () => {
    const [stale, next] = [await open(), await open()];
    await startSecondly(stale, 1);
    const [row] = await stale.due();
    const name = { kind: SHARD_LEASE_KIND, name: shardName(shardOf(row!.schedule_id)) };
    const old = await stale.leases.acquire(name, 'stale', 60_000);
    await stale.store.execute(expireLeases);
    const current = await next.leases.acquire(name, 'next', 60_000);
    expect(current?.token).toBeGreaterThan(old!.token);

    const before = await stale.store.execute(readSchedule, [row!.schedule_id]);
    expect(await stale.firer.fire(row!, old!)).toEqual({ kind: 'fenced' });
    expect(await stale.store.execute(readSchedule, [row!.schedule_id])).toEqual(before);
    expect(await firings(stale.store)).toEqual([]);
    expect(await stale.store.execute(allTurns)).toEqual([]);
    expect(await stale.store.execute(both('events', 'select id from outbox'))).toEqual([]);
    expect(await next.firer.fire(row!, current!)).toMatchObject({ kind: 'fired' });
  });

  it('shares the shards out, and takes over what another gives back', async () => {
    const [one, two] = [await open(60_000), await open(60_000)];
    await one.shards.balance();
    expect(one.shards.held.size).toBe(SHARD_COUNT);
    await two.shards.balance();
    expect(two.shards.held.size).toBe(0);
    await one.shards.balance();
    await two.shards.balance();
    expect([one.shards.held.size, two.shards.held.size]).toEqual([4, 4]);
    expect(new Set([...one.shards.digits, ...two.shards.digits]).size).toBe(16);
    await one.stop();
    await two.shards.balance();
    expect(two.shards.held.size).toBe(SHARD_COUNT);
  });

  it('fires an outage of more than the grace once, at its last instant, and then goes on', async () => {
    const scheduler = await open();
    await startSecondly(scheduler, 1);
    await scheduler.store.execute(setAllBack, [3_600_000]);
    await scheduler.store.execute(startAtCreation);
    const [row] = await scheduler.due();
    const lease = await scheduler.leases.acquire(
      { kind: SHARD_LEASE_KIND, name: shardName(shardOf(row!.schedule_id)) },
      'me',
      60_000,
    );
    const latest = row!.created_at + Math.floor((row!.now - row!.created_at) / 1_000) * 1_000;
    expect(await scheduler.firer.fire(row!, lease!)).toEqual({ kind: 'fired', instant: latest, caughtUp: true });
    expect(await firings(scheduler.store)).toMatchObject([{ instant: latest }]);
    const shown = await scheduler.schedules.get(DEFAULT_TENANT_ID, row!.schedule_id);
    expect(shown?.last_fired_at).toBe(new Date(latest).toISOString());
    expect(shown?.next_fire_at).toBe(new Date(latest + 1_000).toISOString());
  });

  it('fires nothing of a disabled tenant, and what it missed once when that is enabled again', async () => {
    const scheduler = await open();
    const { store } = scheduler;
    const disable = (disabled_at: number | null) =>
      store.transaction((tx) => tx.records(Tenants).update({ tenant_id: DEFAULT_TENANT_ID }, { disabled_at }));
    await scheduler.create(SECONDLY);
    await store.execute(setAllBack, [600_000]);
    await store.execute(startAtCreation);
    await disable(1);
    expect(await scheduler.due()).toEqual([]);
    scheduler.loop.start();
    await eventually(() => expect(scheduler.observer.shards).toBe(SHARD_COUNT));
    expect(await store.execute(allTurns)).toEqual([]);
    await disable(null);
    scheduler.backplane.publish('timers');
    await eventually(() => expect(scheduler.observer.firedCount).toBeGreaterThan(0));
    expect(scheduler.observer.caughtUp).toBe(1);
  });

  it('does not fire an instant again when the schedule is set back', async () => {
    const scheduler = await open();
    await startSecondly(scheduler, 1);
    const [row] = await scheduler.due();
    const lease = await scheduler.leases.acquire(
      { kind: SHARD_LEASE_KIND, name: shardName(shardOf(row!.schedule_id)) },
      'me',
      60_000,
    );
    expect(await scheduler.firer.fire(row!, lease!)).toMatchObject({ kind: 'fired' });
    await scheduler.store.execute(setNext, [row!.schedule_id, row!.next_fire_at]);
    expect(await scheduler.firer.fire(row!, lease!)).toEqual({ kind: 'repeated' });
    expect(await firings(scheduler.store)).toHaveLength(1);
    expect(await scheduler.store.execute(allTurns)).toHaveLength(1);
  });

  it('postpones a schedule that cannot be run and fires the others', async () => {
    const scheduler = await open();
    await startSecondly(scheduler, 3);
    const [bad, ...good] = await scheduler.due();
    await scheduler.store.execute(breakSteps, [bad!.schedule_id]);
    scheduler.loop.start();
    await eventually(async () => {
      const fired = new Set((await firings(scheduler.store)).map((row) => row.schedule_id));
      expect(fired).toEqual(new Set(good.map((row) => row.schedule_id)));
    });
    await eventually(() => expect(scheduler.observer.postponedIds).toEqual([bad!.schedule_id]));
    const [record] = await scheduler.store.execute<{ next_fire_at: number; last_fired_at: number | null }>(
      readSchedule,
      [bad!.schedule_id],
    );
    expect(record!.next_fire_at).toBeGreaterThan(bad!.now + 59_000);
    expect(record!.last_fired_at).toBeNull();
  });

  it('wakes for a new schedule and is there at its instant', async () => {
    const scheduler = await open();
    scheduler.loop.start();
    await eventually(() => expect(scheduler.observer.shards).toBe(SHARD_COUNT));
    const created = await scheduler.create(SECONDLY);
    await eventually(async () => expect((await firings(scheduler.store)).length).toBeGreaterThanOrEqual(2));
    const [first] = await firings(scheduler.store);
    expect(new Date(first!.instant).toISOString()).toBe(created.next_fire_at);
    const [turn] = await scheduler.store.execute<{ kind: string; input: string }>(allTurns);
    expect(turn).toMatchObject({ kind: 'workflow', input: JSON.stringify({ steps: [cliStep('true')] }) });
  });
});
