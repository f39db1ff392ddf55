import type { Backplane } from '@tyrum/backplane';
import {
  ContractError,
  isUuid,
  requireEnforceable,
  requireExecutable,
  WireError,
  type Schedule,
  type ScheduleCreateBody,
} from '@tyrum/protocol';
import type { StateStore, Tx } from '@tyrum/statestore';
import { Schedules as ScheduleRecords, type ScheduleRecord } from '@tyrum/statestore/records';
import { nextInstant, requireCadence } from './cadence';
import { readClock } from './sql/read-clock';

/** Schedules of one tenant at the most: a list of them is not paged. */
export const MAX_SCHEDULES_PER_TENANT = 1_000;

const CADENCE_OF = { heartbeat: 'interval', cron: 'cron' } as const;

/** Creates, shows and removes the schedules of a tenant. */
export class Schedules {
  constructor(
    private readonly store: StateStore,
    private readonly backplane: Backplane,
    private readonly newId: () => string,
    /** Whether money can be counted where turns run. */
    private readonly knowsPrice = false,
  ) {}

  /**
   * Creates a schedule whose first instant is after now by the database's clock.
   * @throws {ContractError} naming the field at fault: `kind`, `cadence.expression`, `execution.steps[2].type`
   * @throws {WireError} `conflict`: the tenant has as many as it may have
   */
  async create(tenantId: string, body: ScheduleCreateBody): Promise<Schedule> {
    const schedule = await this.store.transaction((tx) => this.createIn(tx, tenantId, body));
    this.wake();
    return schedule;
  }

  /** The same inside the caller's transaction; call `wake` after its commit. */
  async createIn(tx: Tx, tenantId: string, body: ScheduleCreateBody): Promise<Schedule> {
    if (CADENCE_OF[body.kind] !== body.cadence.type) {
      throw ContractError.at('cadence.type', 'isIn', `must be ${CADENCE_OF[body.kind]} for a ${body.kind}`);
    }
    requireExecutable(body.execution.steps, 'execution.steps');
    requireEnforceable(body.execution.budgets, 'execution.budgets', { knowsPrice: this.knowsPrice });
    const records = tx.records(ScheduleRecords);
    if ((await records.countBy({ tenant_id: tenantId })) >= MAX_SCHEDULES_PER_TENANT) {
      throw new WireError('conflict', `there are ${MAX_SCHEDULES_PER_TENANT} schedules: remove one first`);
    }
    const [clock] = await tx.query<{ now: number }>(readClock);
    const created = this.toRecord(tenantId, body, (clock as { now: number }).now);
    // TypeORM's type for partial rows has no place for open JSON columns.
    await records.insert(created as Parameters<typeof records.insert>[0]);
    return toSchedule(created);
  }

  /** After a commit: the schedulers may look. */
  wake(): void {
    this.backplane.publish('timers');
  }

  /** Oldest first. */
  async list(tenantId: string): Promise<Schedule[]> {
    const records = await this.store.read((db) =>
      db.records(ScheduleRecords).find({
        where: { tenant_id: tenantId },
        order: { created_at: 'ASC', schedule_id: 'ASC' },
        take: MAX_SCHEDULES_PER_TENANT,
      }),
    );
    return records.map(toSchedule);
  }

  /** Undefined = the tenant has none of that id. */
  async get(tenantId: string, scheduleId: string): Promise<Schedule | undefined> {
    if (!isUuid(scheduleId)) return undefined;
    const where = { tenant_id: tenantId, schedule_id: scheduleId };
    const record = await this.store.read((db) => db.records(ScheduleRecords).findOneBy(where));
    return record ? toSchedule(record) : undefined;
  }

  /** Removes the schedule; what it has fired stays. False = the tenant has none of that id. */
  async remove(tenantId: string, scheduleId: string): Promise<boolean> {
    if (!isUuid(scheduleId)) return false;
    return this.store.transaction(async (tx) => {
      const where = { tenant_id: tenantId, schedule_id: scheduleId };
      const records = tx.records(ScheduleRecords);
      if (!(await records.existsBy(where))) return false;
      await records.delete(where);
      return true;
    });
  }

  private toRecord(tenantId: string, body: ScheduleCreateBody, now: number): ScheduleRecord {
    const anchored = { cadence: body.cadence, anchorMs: now };
    requireCadence(anchored);
    return {
      tenant_id: tenantId,
      schedule_id: this.newId(),
      kind: body.kind,
      cadence: { ...body.cadence },
      execution: { ...body.execution },
      delivery: body.delivery ?? null,
      enabled: body.enabled,
      next_fire_at: body.enabled ? (nextInstant(anchored, now) ?? null) : null,
      last_fired_at: null,
      created_at: now,
      updated_at: now,
    };
  }
}

function toSchedule(record: ScheduleRecord): Schedule {
  return {
    schedule_id: record.schedule_id,
    kind: record.kind,
    cadence: record.cadence as unknown as Schedule['cadence'],
    execution: record.execution as unknown as Schedule['execution'],
    delivery: record.delivery as Schedule['delivery'],
    enabled: Boolean(record.enabled),
    next_fire_at: toIso(record.next_fire_at),
    last_fired_at: toIso(record.last_fired_at),
    created_at: new Date(record.created_at).toISOString(),
    updated_at: new Date(record.updated_at).toISOString(),
  };
}

function toIso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
