export type { EventScope, OutboxEvent, Position, StoredEvent } from './outbox-event';
export { comesAfter, decodePosition, encodePosition } from './position';
export { appendEvents } from './append-events';
export { OutboxReader, readEdgeLags, type EdgeLag, type EventPage, type OutboxLag } from './outbox-reader';
export { beginEpoch, pruneCursors, pruneOutbox } from './outbox-retention';
export { OutboxTail, type OutboxTailOptions } from './outbox-tail';
export { EdgeSlot, pruneEdgeSlots, type EdgeSlotOptions } from './edge-slot';
export { DirectedMail, type DeliveryOutcome, type DirectedMessage, type ReturnedMessage } from './directed-mail';
