import { setTimeout as pause } from 'node:timers/promises';
import type { DatabaseView } from './database';
import { eventsOf } from './final-state';
import type { Subscriber } from './subscriber';

const LOOK_MS = 250;

/** Waits until nothing is under way any more. Returns what still was at the deadline, in words. */
export async function waitForRest(
  view: DatabaseView,
  subscribers: readonly Subscriber[],
  deadline: number,
): Promise<string[]> {
  for (;;) {
    const problems = await look(view, subscribers).catch((error: unknown) => [
      `the database does not answer: ${String(error)}`,
    ]);
    if (problems.length === 0 || performance.now() >= deadline) return problems;
    await pause(LOOK_MS);
  }
}

async function look(view: DatabaseView, subscribers: readonly Subscriber[]): Promise<string[]> {
  const turns = await view.query<{ turn_id: string; status: string }>(
    `select turn_id, status from turn where status in ('queued', 'running', 'paused')`,
  );
  const conversations = await view.query<{ conversation_key: string; state: string; pending: number }>(
    `select conversation_key, state, pending from conversation_queue where state <> 'idle' or pending <> 0`,
  );
  const requests = await view.query<{ key: string }>(`select key from idempotency_record where status = 'in_flight'`);
  const last = await view.query<{ events: string }>('select events from outbox order by id desc limit 20');
  const events = last.flatMap(eventsOf);
  return [
    ...turns.map(({ turn_id, status }) => `turn ${turn_id} is ${status}`),
    ...conversations.map((row) => `${row.conversation_key} is ${row.state} with ${row.pending} pending`),
    ...requests.map(({ key }) => `the request ${key} is in flight`),
    ...subscribers
      .filter((subscriber) => events.some(({ event }) => !subscriber.has(event)))
      .map(({ name }) => `${name} waits for events`),
  ];
}
