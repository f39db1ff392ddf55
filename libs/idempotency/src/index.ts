export { IdempotencyLedger, type IdempotencyKey, type OnceOutcome, type Reservation } from './idempotency-ledger';
export { TwoPhaseLedger, type Beginning, type TwoPhaseOptions } from './two-phase-ledger';
