import { noteAudit } from '@tyrum/evidence';
import type { Logger } from '@tyrum/platform';
import type { PeerRole } from '@tyrum/protocol';
import { StoreUnavailableError, type StateStore } from '@tyrum/statestore';
import { actorOf } from '../operations/once';

/** A handshake that succeeded. */
export interface SessionBegun {
  readonly tenantId: string;
  readonly tokenId: string;
  readonly role: PeerRole;
  readonly deviceId: string;
}

/** What one token has begun that is not written yet. */
interface Begun {
  readonly session: SessionBegun;
  count: number;
  devices: Set<string>;
  /** When it may be written. Without sessions by then the token is forgotten. */
  dueAt: number;
}

const FLUSH_MS = 1_000;
const WINDOW_MS = 10 * 60_000;
/** Tokens, each in each role, that are told apart within a window; sessions of others are counted in the log only. */
const MAX_TOKENS = 20_000;
/** Devices that an entry names. A token that is bound to none could come with another one each time. */
const MAX_DEVICES = 20;
/** Entries a commit. */
const BATCH = 500;

/**
 * Writes down who begins sessions over the WebSocket. The first one of a token is written within a second; those that follow
 * within ten minutes become one entry with their number and devices, so that clients that connect again and again, and all of them after
 * an edge has died, do not fill the audit. What is not written yet is lost with a process that is killed; one that stops writes it
 * before it goes. While the database is away it waits.
 */
export class SessionAudit {
  /** By token and role. */
  private readonly begun = new Map<string, Begun>();
  private timer: NodeJS.Timeout | undefined;
  private firesAt = Infinity;
  private beyond = 0;

  constructor(
    private readonly ports: { readonly store: StateStore; readonly logger: Logger },
    private readonly nowMs: () => number,
  ) {}

  note(session: SessionBegun): void {
    const key = `${session.tokenId}/${session.role}`;
    const known = this.begun.get(key);
    if (known) return count(known, 1, [session.deviceId]);
    if (this.begun.size >= MAX_TOKENS) {
      this.beyond += 1;
      return;
    }
    const now = this.nowMs();
    this.begun.set(key, { session, count: 1, devices: new Set([session.deviceId]), dueAt: now });
    this.wakeAt(now + FLUSH_MS);
  }

  /** Writes what is due. Never rejects: a session goes on whether it can be written down or not. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.firesAt = Infinity;
    const now = this.nowMs();
    const due: Begun[] = [];
    for (const [key, one] of this.begun) {
      if (one.dueAt > now) continue;
      if (one.count > 0) due.push(one);
      else this.begun.delete(key);
    }
    if (this.beyond > 0) this.ports.logger.warn({ sessions: this.beyond }, 'sessions of too many tokens to write down');
    this.beyond = 0;
    for (let i = 0; i < due.length; i += BATCH) await this.write(due.slice(i, i + BATCH), now);
    const next = Math.min(...[...this.begun.values()].map(({ dueAt }) => dueAt));
    if (next < Infinity) this.wakeAt(Math.max(next, this.nowMs() + FLUSH_MS));
  }

  /** Writes all that is not written yet, due or not. */
  async close(): Promise<void> {
    for (const one of this.begun.values()) one.dueAt = 0;
    await this.flush();
    clearTimeout(this.timer);
  }

  private async write(due: readonly Begun[], now: number): Promise<void> {
    const taken = due.map((one) => {
      const { session, count: number, devices } = one;
      one.count = 0;
      one.devices = new Set();
      one.dueAt = now + WINDOW_MS;
      return { one, session, number, devices: [...devices] };
    });
    const notes = taken.map(({ session, number, devices }) => ({
      tenantId: session.tenantId,
      type: 'session.begun' as const,
      actor: actorOf(session),
      detail: { door: 'ws', role: session.role, devices, count: number },
    }));
    try {
      await this.ports.store.transaction((tx) => noteAudit(tx, notes));
    } catch (error) {
      this.ports.logger.warn({ err: error, sessions: notes.length }, 'sessions could not be written down');
      if (!(error instanceof StoreUnavailableError)) return;
      for (const { one, number, devices } of taken) {
        count(one, number, devices);
        one.dueAt = now;
      }
    }
  }

  private wakeAt(at: number): void {
    if (at >= this.firesAt) return;
    clearTimeout(this.timer);
    this.firesAt = at;
    this.timer = setTimeout(() => void this.flush(), at - this.nowMs()).unref();
  }
}

function count(one: Begun, more: number, devices: readonly string[]): void {
  one.count += more;
  for (const device of devices) if (one.devices.size < MAX_DEVICES) one.devices.add(device);
}
