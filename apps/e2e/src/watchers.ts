import { createDeviceIdentity, TyrumClient, type ConnectionLostError, type WebSocketConstructor } from '@tyrum/client';
import { restartDelayMs } from '@tyrum/protocol';
import { askServer, eventually } from '@tyrum/test-services';
import { WebSocket } from 'ws';

/** A connection that came back. Instants of the monotonic clock, in ms. */
export interface Comeback {
  readonly closeCode: number;
  /** What the 1012 asked for. */
  readonly askedMs: number | undefined;
  readonly lostAt: number;
  readonly backAt: number;
}

/** Where each event stands in the order of all conversations, and in which conversation. */
type Places = ReadonlyMap<number, { readonly at: number; readonly key: string }>;

const LONGEST_DELAY_MS = 60_000;
/** Handshakes of the beginning under way at once. */
const CONNECTING = 50;

/** Clients of the library that follow every event of a tenant, each with an account of what it was handed and in which order. */
export class Watchers {
  readonly comebacks: Comeback[] = [];
  gaps = 0;
  private readonly clients: TyrumClient[] = [];
  /** For each client, all it was handed, as numbers of `known`: a thousand lists of ids would not fit. */
  private readonly handed: number[][] = [];
  private readonly known = new Map<string, number>();

  static async connect(count: number, target: { url: string; token: string }): Promise<Watchers> {
    const watchers = new Watchers();
    for (let i = 0; i < count; i += CONNECTING) {
      const some = Array.from({ length: Math.min(CONNECTING, count - i) }, () => watchers.add(target));
      await Promise.all(some);
    }
    return watchers;
  }

  get open(): number {
    return this.clients.filter(({ state }) => state === 'open').length;
  }

  /** Waits until each was handed every event of every conversation, once and in the order of its conversation. */
  async expectAllEvents(databaseUrl: string): Promise<{ events: number }> {
    const rows = await askServer<{ event_id: string; conversation_key: string }>(
      databaseUrl,
      `select event ->> 'event_id' as event_id, event ->> 'conversation_key' as conversation_key
       from outbox, json_array_elements(events::json) as event where event ->> 'conversation_key' is not null
       order by 2, (event ->> 'conversation_seq')::bigint`,
    );
    const place = new Map(rows.map((row, at) => [this.numberOf(row.event_id), { at, key: row.conversation_key }]));
    const sizes = () => this.handed.map((list) => list.filter((event) => place.has(event)).length);
    const isComplete = () => expect(sizes().filter((size) => size < rows.length)).toEqual([]);
    // Which of them miss what is told below.
    await eventually(isComplete, { timeoutMs: 60_000, intervalMs: 250 }).catch(() => undefined);
    expect(this.handed.flatMap((list, client) => complaint(list, place, client)).slice(0, 10)).toEqual([]);
    expect(this.gaps).toBe(0);
    return { events: rows.length };
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  private async add({ url, token }: { url: string; token: string }): Promise<void> {
    let lost: { error: ConnectionLostError; at: number } | undefined;
    const list: number[] = [];
    const client = new TyrumClient({
      url,
      token,
      identity: await createDeviceIdentity(),
      WebSocket: WebSocket as unknown as WebSocketConstructor,
      observer: {
        gap: () => (this.gaps += 1),
        // Of several attempts only the first loss counts: from then on the client is away.
        disconnected: (error) => (lost ??= { error, at: performance.now() }),
        connected: () => {
          if (lost) this.comebacks.push(comeback(lost.error, lost.at));
          lost = undefined;
        },
      },
    });
    this.clients.push(client);
    this.handed.push(list);
    client.on('*', ({ event_id }) => void list.push(this.numberOf(event_id)));
    await client.connect();
  }

  private numberOf(eventId: string): number {
    const number = this.known.get(eventId) ?? this.known.size;
    this.known.set(eventId, number);
    return number;
  }
}

function comeback(error: ConnectionLostError, lostAt: number): Comeback {
  const askedMs = error.closeCode === 1012 ? restartDelayMs(error.reason, LONGEST_DELAY_MS) : undefined;
  return { closeCode: error.closeCode, askedMs, lostAt, backAt: performance.now() };
}

/** What is wrong with one client's list, if anything is. */
function complaint(list: readonly number[], place: Places, client: number): string[] {
  const last = new Map<string, number>();
  let mine = 0;
  for (const event of list) {
    const found = place.get(event);
    if (!found) continue;
    mine += 1;
    if (found.at <= (last.get(found.key) ?? -1))
      return [`client ${client}: ${found.key} is out of order at ${found.at}`];
    last.set(found.key, found.at);
  }
  return mine === place.size ? [] : [`client ${client}: ${mine} of ${place.size} events`];
}
