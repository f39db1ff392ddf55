import type { Backplane, Handler, Topic } from './backplane';
import { ProcessLink } from './process-link';

/** LISTEN/NOTIFY on a connection of its own, as the state store offers it. Reconnects by itself for ever. */
export interface NotificationSource {
  /** Whether notifications arrive now. */
  readonly connected: boolean;
  /** Calls `onMessage` for each notification, and `onConnect` whenever listening begins (again). */
  listen(channel: string, onMessage: (payload: string) => void, onConnect: () => void): void;
  /** Best effort; never inside a transaction, where NOTIFY would serialize commits. False = it was not sent. Never rejects. */
  notify(channel: string, payload: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Channels belong to one database, and so to one installation. */
const CHANNEL = 'tyrum_backplane';
/** Postgres refuses payloads of 8,000 bytes and more; the longer ones are dropped, as a best-effort channel may. */
const MAX_BYTES = 7_900;
/** Every NOTIFY is a commit on the server: at most 200 a second, topic and process. */
const WINDOW_MS = 5;

/** Wake-ups between processes on one Postgres, without another server. */
export class PostgresBackplane implements Backplane {
  readonly kind = 'postgres';
  private readonly link: ProcessLink;

  constructor(private readonly source: NotificationSource) {
    this.link = new ProcessLink({ send: (text) => this.send(text), windowMs: WINDOW_MS, maxBytes: MAX_BYTES });
    source.listen(
      CHANNEL,
      (text) => this.link.receive(text),
      () => this.link.subscribers.reconnected(),
    );
  }

  get healthy(): boolean {
    return this.source.connected;
  }

  get dropped(): number {
    return this.link.dropped;
  }

  publish(topic: Topic, payload?: string): void {
    this.link.publish(topic, payload);
  }

  subscribe(topic: Topic, handler: Handler): () => void {
    return this.link.subscribers.add(topic, handler);
  }

  onReconnect(handler: () => void): () => void {
    return this.link.subscribers.addReconnect(handler);
  }

  async close(): Promise<void> {
    this.link.close();
    await this.source.close();
  }

  private send(text: string): boolean {
    if (!this.source.connected) return false;
    void this.source.notify(CHANNEL, text).then((sent) => {
      if (!sent) this.link.lost();
    });
    return true;
  }
}
