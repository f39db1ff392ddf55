export { OutboxModel } from './outbox-model';
export { OUTBOX_ACTS, RealOutbox } from './real-outbox';
export { gate, readEventually, storedEvents, testEvent } from './test-event';
