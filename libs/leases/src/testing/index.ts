export { expireLease } from './expire-lease';
export { LEASE_ACTS, LeaseModel, RealLeases } from './lease-model';
