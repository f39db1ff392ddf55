import { noteAudit } from '@tyrum/evidence';
import { appendEvents } from '@tyrum/outbox';
import type { Logger } from '@tyrum/platform';
import { StoreUnavailableError, type StateStore } from '@tyrum/statestore';
import { actorOf } from '../operations/once';

/** A refusal, in words that are safe to keep: no token, no address, nothing of what was sent. */
export interface Refusal {
  readonly type: 'auth.failed' | 'authz.denied';
  readonly tenantId: string;
  readonly tokenId?: string;
  readonly door: 'ws' | 'http' | 'webhook' | 'mcp';
  /** Why, as a stable word: `bad_token`, `scope`, `origin`, `rate`, `connections`. */
  readonly reason: string;
  /** What was asked for: a request type or a route pattern; of `rate` and `connections` whose limit it was: `address`, `token`, … */
  readonly subject?: string;
}

export interface AuditStamps {
  readonly newId: () => string;
  readonly nowMs: () => number;
}

interface Pending {
  readonly refusal: Refusal;
  count: number;
  /** When the first of them was. */
  readonly at: number;
}

const FLUSH_MS = 1_000;
/** Different refusals between two flushes; what comes beyond is counted by the metric only. */
const MAX_KINDS = 200;

/**
 * Keeps refusals as events of their tenant. Copies within a second become one event with a count: every refusal is told of, and
 * whoever hammers at the door writes one row a second. What is not written yet, at most a second's refusals, is lost with a
 * process that is killed; one that stops writes it before it goes. While the database is away they wait and are counted on.
 */
export class RefusalAudit {
  private readonly pending = new Map<string, Pending>();
  private timer: NodeJS.Timeout | undefined;
  /** Refusals of more kinds than are told apart. */
  private beyond = 0;

  constructor(
    private readonly ports: { readonly store: StateStore; readonly logger: Logger; readonly wake: () => void },
    private readonly stamps: AuditStamps,
    private readonly onRefusal: (refusal: Refusal) => void,
  ) {}

  note(refusal: Refusal): void {
    this.onRefusal(refusal);
    this.add({ refusal, count: 1, at: this.stamps.nowMs() });
  }

  private add({ refusal, count, at }: Pending): void {
    const key = JSON.stringify(refusal);
    const known = this.pending.get(key);
    if (known) known.count += count;
    else if (this.pending.size < MAX_KINDS) this.pending.set(key, { refusal, count, at });
    else this.beyond += count;
    this.timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Writes what is pending. Never rejects: a refusal stands whether it can be written down or not. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const pending = [...this.pending.values()];
    const notes = pending.map(({ refusal, count }) => ({
      tenantId: refusal.tenantId,
      type: refusal.type,
      actor: refusal.tokenId === undefined ? 'unknown' : actorOf({ tokenId: refusal.tokenId }),
      detail: payloadOf(refusal, count),
    }));
    const events = pending.map(({ refusal, count, at }) => ({
      eventId: this.stamps.newId(),
      tenantId: refusal.tenantId,
      type: refusal.type,
      scope: { kind: 'global' as const },
      payload: payloadOf(refusal, count),
      occurredAt: at,
    }));
    this.pending.clear();
    if (this.beyond > 0) this.ports.logger.warn({ refusals: this.beyond }, 'refusals of too many kinds to write down');
    this.beyond = 0;
    if (events.length === 0) return;
    try {
      await this.ports.store.transaction(async (tx) => {
        void appendEvents(tx, events);
        await noteAudit(tx, notes);
      });
      this.ports.wake();
    } catch (error) {
      this.ports.logger.warn({ err: error, refusals: events.length }, 'refusals could not be written down');
      if (error instanceof StoreUnavailableError) pending.forEach((kept) => this.add(kept));
    }
  }
}

function payloadOf({ reason, door, subject, tokenId }: Refusal, count: number): Record<string, unknown> {
  return {
    reason,
    door,
    ...(subject === undefined ? {} : { subject }),
    ...(tokenId === undefined ? {} : { token_id: tokenId }),
    count,
  };
}
