import { AdaptivePoll, type Backplane, type PollResult } from '@tyrum/backplane';
import type { DeliveryOutcome, DirectedMail } from '@tyrum/outbox';
import type { Logger } from '@tyrum/platform';
import type { GatewayMetrics } from '../gateway-metrics';
import type { ConnectionDirectory } from './connection-directory';

export interface DirectedDeliveryPorts {
  readonly mail: DirectedMail;
  readonly backplane: Backplane;
  readonly directory: ConnectionDirectory;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

const BATCH = 200;
/** Longest pause between two looks, in ms; wake-ups make it shorter. */
const MAX_PAUSE_MS = 10_000;

/**
 * Hands messages for single connections to those of this edge, and sends back what cannot be handed over: the messages for
 * connections that are not here (any more), and, for all edges, those of edges that are gone.
 */
export class DirectedDelivery {
  private readonly poll: AdaptivePoll;
  private unsubscribe: (() => void) | undefined;

  /** @param slot the edge slot this process holds */
  constructor(
    private readonly ports: DirectedDeliveryPorts,
    private readonly slot: { readonly slot: string; readonly holder: string },
  ) {
    this.poll = new AdaptivePoll(() => this.step(), {
      backplane: ports.backplane,
      maxMs: MAX_PAUSE_MS,
      onError: (error) => ports.logger.warn({ err: error }, 'directed messages cannot be read; trying again'),
    });
  }

  start(): void {
    this.unsubscribe = this.ports.backplane.subscribe('directed', () => this.poll.wake());
    this.poll.start();
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    await this.poll.stop();
  }

  private async step(): Promise<PollResult> {
    const { mail, metrics, backplane } = this.ports;
    const { slot, holder } = this.slot;
    const waiting = await mail.waiting(slot, holder, BATCH);
    // Handed over before it is noted: a crash in between delivers twice, the other order not at all.
    const outcomes = waiting.map(({ messageId, tenantId, connectionId, payload }): DeliveryOutcome => {
      const connection = this.ports.directory.find(tenantId, connectionId);
      return connection?.link.send(payload) ? { messageId } : { messageId, reason: 'not_connected' };
    });
    await mail.settle(slot, outcomes);
    const undelivered = outcomes.filter(({ reason }) => reason !== undefined).length;
    const returned = await mail.returnUndeliverable(BATCH);
    metrics.directedSettled('delivered', outcomes.length - undelivered);
    metrics.directedSettled('not_connected', undelivered);
    metrics.directedSettled('returned', returned);
    if (undelivered + returned > 0) backplane.publish('directed');
    return { more: waiting.length === BATCH || returned === BATCH };
  }
}
