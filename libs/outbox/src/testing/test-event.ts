import { randomUUID } from 'node:crypto';
import type { Reader } from '@tyrum/statestore';
import { eventually } from '@tyrum/test-services';
import type { OutboxEvent, Position, StoredEvent } from '../outbox-event';
import type { OutboxReader } from '../outbox-reader';
import { fromRow, type OutboxRow } from '../row-text';

/** An event of a tenant nobody else uses. */
export function testEvent(event: Partial<OutboxEvent> = {}): OutboxEvent {
  return {
    eventId: randomUUID(),
    tenantId: '00000000-0000-4000-8000-000000000001',
    type: 'turn.queued',
    scope: { kind: 'global' },
    payload: {},
    occurredAt: Date.now(),
    ...event,
  };
}

/**
 * Everything after a position, once that is `count` events. It may take a moment: on a shared server readers also wait for
 * transactions in other databases.
 */
export function readEventually(
  reader: OutboxReader,
  position: Position,
  count: number,
): Promise<readonly StoredEvent[]> {
  return eventually(async () => {
    const { events } = await reader.readAfter(position, 10_000);
    expect(events).toHaveLength(count);
    return events;
  });
}

const listRows = both('list-rows', 'select tenant_id, events, occurred_at from outbox order by xid, id');

/** Every event that is in the database, whether readers may take it yet or not. */
export async function storedEvents(db: Reader): Promise<OutboxEvent[]> {
  const rows = await db.query<OutboxRow>(listRows);
  const nowhere = { epoch: '', xid: '', id: '' };
  return rows.flatMap((row) => fromRow(row, nowhere)).map(({ position: _, ...event }) => event);
}

function both(name: string, text: string) {
  return { name, postgres: text, sqlite: text };
}

/** Something to wait for, and the way to let it go on. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
