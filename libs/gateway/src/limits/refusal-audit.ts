import { appendEvents } from '@tyrum/outbox';
import type { Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';

/** A refusal, in words that are safe to keep: no token, no address, nothing of what was sent. */
export interface Refusal {
  readonly type: 'auth.failed' | 'authz.denied';
  readonly tenantId: string;
  readonly tokenId?: string;
  readonly door: 'ws' | 'http' | 'webhook';
  /** Why, as a stable word: `bad_token`, `scope`, `origin`. */
  readonly reason: string;
  /** What was asked for: a request type or a route pattern. */
  readonly subject?: string;
}

export interface AuditStamps {
  readonly newId: () => string;
  readonly nowMs: () => number;
}

const FLUSH_MS = 1_000;
/** Different refusals between two flushes; what comes beyond is counted by the metric only. */
const MAX_KINDS = 200;

/**
 * Keeps refusals as events of their tenant. Copies within a second become one event with a count: every refusal is told of, and
 * whoever hammers at the door writes one row a second.
 */
export class RefusalAudit {
  private readonly pending = new Map<string, { readonly refusal: Refusal; count: number; readonly at: number }>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly ports: { readonly store: StateStore; readonly logger: Logger; readonly wake: () => void },
    private readonly stamps: AuditStamps,
    private readonly onRefusal: (refusal: Refusal) => void,
  ) {}

  note(refusal: Refusal): void {
    this.onRefusal(refusal);
    const key = JSON.stringify(refusal);
    const known = this.pending.get(key);
    if (known) known.count += 1;
    else if (this.pending.size < MAX_KINDS) this.pending.set(key, { refusal, count: 1, at: this.stamps.nowMs() });
    this.timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Writes what is pending. Never rejects: a refusal stands whether it can be written down or not. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const events = [...this.pending.values()].map(({ refusal, count, at }) => ({
      eventId: this.stamps.newId(),
      tenantId: refusal.tenantId,
      type: refusal.type,
      scope: { kind: 'global' as const },
      payload: payloadOf(refusal, count),
      occurredAt: at,
    }));
    this.pending.clear();
    if (events.length === 0) return;
    try {
      await this.ports.store.transaction((tx) => appendEvents(tx, events));
      this.ports.wake();
    } catch (error) {
      this.ports.logger.warn({ err: error, refusals: events.length }, 'refusals could not be written down');
    }
  }
}

function payloadOf({ reason, door, subject, tokenId }: Refusal, count: number): object {
  return {
    reason,
    door,
    ...(subject === undefined ? {} : { subject }),
    ...(tokenId === undefined ? {} : { token_id: tokenId }),
    count,
  };
}
