export type { EventScope, OutboxEvent, Position, StoredEvent } from './outbox-event';
export { decodePosition, encodePosition } from './position';
export { appendEvents } from './append-events';
export { OutboxReader, type EventPage } from './outbox-reader';
export { beginEpoch, pruneOutbox } from './outbox-retention';
export { OutboxTail, type OutboxTailOptions } from './outbox-tail';
