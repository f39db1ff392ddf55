import type { CommitTail } from './backplane';
import { LinkedBackplane } from './linked-backplane';

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
/** Postgres refuses payloads of 8,000 bytes and more. */
const MAX_BYTES = 7_900;
/** Every NOTIFY is a commit on the server: at most 1,000 a second, topic and process; with several turns a commit there are fewer. */
const WINDOW_MS = 1;

/** Wake-ups between processes on one Postgres, without another server. */
export class PostgresBackplane extends LinkedBackplane {
  readonly kind = 'postgres';

  constructor(private readonly source: NotificationSource) {
    super({ windowMs: WINDOW_MS, maxBytes: MAX_BYTES });
    source.listen(
      CHANNEL,
      (text) => this.receive(text),
      () => this.subscribers.reconnected(),
    );
  }

  get problem(): string | undefined {
    return this.source.connected ? undefined : 'the notification connection to Postgres is down';
  }

  protected carry(text: string): boolean {
    if (!this.source.connected) return false;
    void this.source.notify(CHANNEL, text).then((sent) => {
      if (!sent) this.lost();
    });
    return true;
  }

  protected override leaveBehind(commit: CommitTail, texts: readonly string[], lost: () => void): boolean {
    return commit.notifyBehind(CHANNEL, texts, lost);
  }

  protected disconnect(): Promise<void> {
    return this.source.close();
  }
}
