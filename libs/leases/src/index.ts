export {
  conversationLease,
  Leases,
  type HeldLease,
  type LeaseHistoryRow,
  type LeaseName,
  type LeaseRow,
} from './leases';
export { LeaseKeeper, type LeaseKeeperOptions } from './lease-keeper';
export { LossLog } from './loss-log';
export { Heartbeat, type HeartbeatOptions, type InstanceState } from './heartbeat';
export { readInstances, readTakeovers, type InstanceRow, type TakeoverRow } from './instances';
