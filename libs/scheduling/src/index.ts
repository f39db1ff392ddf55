export { latestInstant, nextInstant, requireCadence, type Anchored } from './cadence';
export { MAX_SCHEDULES_PER_TENANT, Schedules } from './schedules';
export { MISFIRE_GRACE_MS, ScheduleFirer, type DueSchedule, type FiringOutcome } from './schedule-firer';
export { SchedulerLoop, type SchedulerParts } from './scheduler-loop';
export { SchedulerShards, SHARD_COUNT } from './scheduler-shards';
export type { SchedulerObserver } from './scheduler-observer';
