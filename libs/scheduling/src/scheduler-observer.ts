import type { HeldLease } from '@tyrum/leases';

/** What a scheduler reports: for logs and metrics, never for control flow. Must not throw. */
export interface SchedulerObserver {
  /** `lagMs`: how late by the database's clock; `caughtUp`: it stands for earlier instants that did not go off. */
  fired(firing: { readonly lagMs: number; readonly caughtUp: boolean }): void;
  /** A firing was refused because the shard belongs to somebody else by now. */
  fenced(lease: HeldLease): void;
  /** What is stored cannot be fired; it is tried again later. */
  postponed(schedule: { readonly tenantId: string; readonly scheduleId: string }, error: unknown): void;
  shardsHeld(count: number): void;
  trouble(what: string, error: unknown): void;
}
