import type { Schedule, ScheduleCreateBody } from '@tyrum/protocol';
import type { Tx } from '@tyrum/statestore';

/** Injection token of a `SchedulesPort`. Without one the routes under `/v1/schedules` answer `not_found`. */
export const SCHEDULES_PORT = Symbol('tyrum.schedules');

/** Keeps schedules; `@tyrum/scheduling` does. */
export interface SchedulesPort {
  /** @throws {WireError} contract_error for a cadence that cannot be kept */
  createIn(tx: Tx, tenantId: string, body: ScheduleCreateBody): Promise<Schedule>;
  /** After the commit of a schedule. */
  wake(): void;
  list(tenantId: string): Promise<Schedule[]>;
  /** False when the tenant has no such schedule. */
  remove(tenantId: string, scheduleId: string): Promise<boolean>;
}
