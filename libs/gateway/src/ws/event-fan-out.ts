import type { Backplane } from '@tyrum/backplane';
import { OutboxTail, type OutboxReader, type StoredEvent } from '@tyrum/outbox';
import { isJsonObject } from '@tyrum/protocol';
import type { Logger } from '@tyrum/platform';
import type { GatewayMetrics } from '../gateway-metrics';
import type { ConnectionDirectory } from './connection-directory';
import { EventFrames } from './event-frames';

export interface FanOutPorts {
  readonly reader: OutboxReader;
  readonly backplane: Backplane;
  readonly directory: ConnectionDirectory;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/**
 * Carries events from the outbox and the reply streams to the connections they are for. One tail serves the process; an
 * event is serialized once, not once a connection.
 */
export class EventFanOut {
  private readonly tail: OutboxTail;
  private unsubscribe: (() => void) | undefined;
  /** The last event handed to the connections that are joined. */
  last: StoredEvent | undefined;

  constructor(
    private readonly ports: FanOutPorts,
    private readonly stamps: { readonly newId: () => string; readonly nowMs: () => number },
  ) {
    this.tail = new OutboxTail(ports.reader, ports.backplane, {
      onEvents: (events) => this.deliver(events),
      onError: (error) => ports.logger.warn({ err: error }, 'events cannot be read; trying again'),
    });
  }

  /** Resolves once no event that is committed later can be missed. @throws {StoreUnavailableError} */
  async start(): Promise<void> {
    await this.tail.start();
    this.unsubscribe = this.ports.backplane.subscribe('stream', (payload) => this.stream(payload));
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    await this.tail.stop();
  }

  private deliver(events: readonly StoredEvent[]): void {
    let sent = 0;
    for (const event of events) {
      const frames = new EventFrames(event);
      for (const { link, peer } of this.ports.directory.audience(event.tenantId, event.scope)) {
        if (link.send(frames.frame(peer.resumeCursor !== undefined))) sent += 1;
      }
      this.last = event;
    }
    this.ports.metrics.eventsSent(sent);
  }

  /** A piece of a reply. Best effort: what is malformed or lost is not missed, the message itself is durable. */
  private stream(payload: string | undefined): void {
    const piece = parse(payload);
    if (!piece) return;
    const { tenant_id, agent_key, ...rest } = piece;
    const audience = this.ports.directory.audience(String(tenant_id), { kind: 'agent', id: String(agent_key) });
    let frame: Buffer | undefined;
    let sent = 0;
    for (const { link } of audience) {
      frame ??= Buffer.from(
        JSON.stringify({
          event_id: this.stamps.newId(),
          type: 'chat.ui-message.stream',
          occurred_at: new Date(this.stamps.nowMs()).toISOString(),
          scope: { kind: 'agent', agent_id: agent_key },
          payload: rest,
        }),
      );
      if (link.send(frame)) sent += 1;
    }
    this.ports.metrics.eventsSent(sent);
  }
}

function parse(payload: string | undefined): Record<string, unknown> | undefined {
  try {
    const piece: unknown = JSON.parse(payload ?? '');
    return isJsonObject(piece) ? piece : undefined;
  } catch {
    return undefined;
  }
}
