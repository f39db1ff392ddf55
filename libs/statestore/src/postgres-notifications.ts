import type { Client } from 'pg';
import { clientWithDeadline } from './client-with-deadline';

export interface PostgresNotificationsOptions {
  readonly url: string;
  /** How often a silent connection is tried, in milliseconds. */
  readonly heartbeatMs?: number;
  /** Told about every failed or lost connection; it is made again by itself. */
  readonly onError?: (error: unknown) => void;
}

const BASE_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** After so long without an answer the connection counts as lost: a server that hangs keeps the socket open. */
const QUERY_TIMEOUT_MS = 5_000;
const DEFAULT_HEARTBEAT_MS = 15_000;
/** A server that hangs must not make us keep a message for each commit. */
const MAX_IN_FLIGHT = 1_000;

const NotificationClient = clientWithDeadline({ ms: QUERY_TIMEOUT_MS });

interface Listener {
  readonly channel: string;
  readonly onMessage: (payload: string) => void;
  readonly onConnect: () => void;
}

/**
 * LISTEN and NOTIFY on one connection of its own: a pooled one would have to be kept out of the pool for ever anyway.
 * Losing it is an ordinary event; it comes back with backoff, and listeners are told that they may have missed something.
 */
export class PostgresNotifications {
  private readonly listeners: Listener[] = [];
  /** The connection in use or being made. Events of any other one come too late to matter. */
  private client: Client | undefined;
  private ready = false;
  private closed = false;
  private failures = 0;
  private inFlight = 0;
  private retry: NodeJS.Timeout | undefined;
  private readonly heartbeat: NodeJS.Timeout;

  constructor(private readonly options: PostgresNotificationsOptions) {
    this.heartbeat = setInterval(() => void this.tryConnection(), options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS).unref();
    void this.connect();
  }

  /** Whether notifications arrive now. */
  get connected(): boolean {
    return this.ready;
  }

  /** Calls `onMessage` for every notification, and `onConnect` whenever listening begins. */
  listen(channel: string, onMessage: (payload: string) => void, onConnect: () => void): void {
    const listener = { channel, onMessage, onConnect };
    this.listeners.push(listener);
    const { client } = this;
    if (client && this.ready) void this.attach(client, [listener]);
  }

  /** Sends to every listener, here and elsewhere. False = it was not sent, and will not be. Never rejects. */
  async notify(channel: string, payload: string): Promise<boolean> {
    const { client } = this;
    if (!client || !this.ready || this.inFlight >= MAX_IN_FLIGHT) return false;
    this.inFlight += 1;
    try {
      await client.query('select pg_notify($1, $2)', [channel, payload]);
      return true;
    } catch (error) {
      this.options.onError?.(error);
      return false;
    } finally {
      this.inFlight -= 1;
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    this.ready = false;
    clearTimeout(this.retry);
    clearInterval(this.heartbeat);
    const { client } = this;
    this.client = undefined;
    await client?.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    const client = new NotificationClient({
      connectionString: this.options.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      pipeline: true,
      application_name: 'tyrum-notifications',
      keepAlive: true,
    });
    this.client = client;
    client.on('error', (error) => this.lost(client, error));
    client.on('end', () => this.lost(client, new Error('the connection ended')));
    client.on('notification', ({ channel, payload }) => {
      for (const listener of this.listeners) if (listener.channel === channel) listener.onMessage(payload ?? '');
    });
    try {
      await client.connect();
      await this.attach(client, this.listeners);
    } catch (error) {
      this.lost(client, error);
    }
  }

  /** Begins to listen, and says so once notifications arrive. */
  private async attach(client: Client, listeners: readonly Listener[]): Promise<void> {
    try {
      for (const { channel } of listeners) {
        await client.query(`listen ${client.escapeIdentifier(channel)}`);
      }
    } catch (error) {
      this.lost(client, error);
    }
    if (this.client !== client) return;
    this.ready = true;
    this.failures = 0;
    for (const { onConnect } of listeners) onConnect();
  }

  private async tryConnection(): Promise<void> {
    const { client } = this;
    if (!client || !this.ready) return;
    await client.query('select 1').catch((error: unknown) => this.lost(client, error));
  }

  /** Comes more than once for one connection; the first time counts. */
  private lost(client: Client, error: unknown): void {
    if (this.client !== client) return;
    this.client = undefined;
    this.ready = false;
    client.end().catch(() => undefined);
    this.options.onError?.(error);
    this.failures += 1;
    const delay = Math.min(BASE_DELAY_MS * 2 ** (this.failures - 1), MAX_DELAY_MS);
    this.retry = setTimeout(() => void this.connect(), delay * (0.5 + Math.random() / 2));
  }
}
