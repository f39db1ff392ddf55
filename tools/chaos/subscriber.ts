import { createDeviceIdentity, TyrumClient, type WebSocketConstructor } from '@tyrum/client';
import { WebSocket } from 'ws';
import type { HistoryWriter } from './history';

/** A client that writes down every event it is sent, across reconnections. */
export class Subscriber {
  private readonly got = new Set<string>();

  private constructor(
    readonly name: string,
    private readonly client: TyrumClient,
  ) {}

  static async connect(
    name: string,
    { port, token, history }: { port: number; token: string; history: HistoryWriter },
  ): Promise<Subscriber> {
    const client = new TyrumClient({
      url: `ws://127.0.0.1:${port}/ws`,
      token,
      identity: await createDeviceIdentity(),
      WebSocket: WebSocket as unknown as WebSocketConstructor,
      backoff: { baseMs: 100, maxMs: 1_000 },
      observer: { gap: () => history.write({ kind: 'gap', subscriber: name }) },
    });
    const subscriber = new Subscriber(name, client);
    client.on('*', ({ event_id, type }) => {
      subscriber.got.add(event_id);
      history.write({ kind: 'event', subscriber: name, event: event_id, type });
    });
    await client.connect();
    return subscriber;
  }

  has(event: string): boolean {
    return this.got.has(event);
  }

  close(): void {
    this.client.close();
  }
}
