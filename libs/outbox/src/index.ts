export type { EventScope, OutboxEvent, Position, StoredEvent } from './outbox-event';
export { decodePosition, encodePosition } from './position';
export { appendEvents, OutboxReader, pruneOutbox, type EventPage } from './outbox';
export { OutboxTail, type OutboxTailOptions } from './outbox-tail';
