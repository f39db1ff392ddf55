export { IdempotencyLedger, type IdempotencyKey, type OnceOutcome, type Reservation } from './idempotency-ledger';
