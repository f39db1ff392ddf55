export { IdempotencyModel } from './idempotency-model';
export { IDEMPOTENCY_ACTS, RealKeys } from './real-keys';
