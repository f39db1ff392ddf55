export { OutboxModel } from './outbox-model';
export { OUTBOX_ACTS, RealOutbox } from './real-outbox';
export { gate, readEventually, testEvent } from './test-event';
