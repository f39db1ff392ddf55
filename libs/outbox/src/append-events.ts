import type { Tx } from '@tyrum/statestore';
import type { OutboxEvent } from './outbox-event';
import { toRows } from './row-text';
import { appendEventRows } from './sql/append-events';

/**
 * Appends events to the commit of the change they describe. Events of conversations come with their sequence numbers, and
 * the transaction has locked those conversations before its first write. Nobody need wait for the answer before COMMIT.
 */
export function appendEvents(tx: Tx, events: readonly OutboxEvent[]): Promise<unknown> {
  if (events.length === 0) return Promise.resolve();
  return tx.query(appendEventRows, [toRows(events)]);
}
