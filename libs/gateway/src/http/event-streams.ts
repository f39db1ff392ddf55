import { allows, type Principal } from '@tyrum/identity';
import type { Logger } from '@tyrum/platform';
import { CloseCode, WireError } from '@tyrum/protocol';
import type { Response } from 'express';
import type { GatewayMetrics } from '../gateway-metrics';
import type { CappedBy, ConnectionCaps } from '../limits/connection-caps';
import type { RefusalAudit } from '../limits/refusal-audit';
import type { ConnectionDirectory } from '../ws/connection-directory';
import { serverSentEvent } from '../ws/event-frames';
import type { EventReplay } from '../ws/event-replay';
import { EventStreamConnection, EventStreamLink } from './event-stream';

export interface EventStreamsPorts {
  readonly directory: ConnectionDirectory;
  readonly caps: ConnectionCaps;
  readonly audit: RefusalAudit;
  readonly replay: EventReplay;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly newId: () => string;
}

export interface EventStreamsOptions {
  readonly edgeId: string;
  readonly sendBufferBytes: number;
  /** Event streams of one token: a device that HTTP does not know. */
  readonly connectionsPerDevice: number;
  /** Long connections of this edge, WebSockets included. */
  readonly maxConnections: number;
}

/** The door for those who only listen: events over HTTP, beside the WebSockets and under the same rules. */
export class EventStreams {
  constructor(
    private readonly ports: EventStreamsPorts,
    private readonly options: EventStreamsOptions,
  ) {}

  /**
   * Answers with the caller's events, from its last one on. Resolves when it has caught up.
   * @throws {WireError} overloaded, rate_limited; nothing has been sent then
   */
  async open(caller: Principal, lastEventId: string | undefined, response: Response): Promise<void> {
    const { directory, metrics, replay } = this.ports;
    const { maxConnections, sendBufferBytes } = this.options;
    if (directory.size >= maxConnections) {
      this.noteFull(caller, 'edge');
      throw new WireError('overloaded', 'too many connections', { retry_after_ms: 5_000 });
    }
    const place = await this.placeOf(caller);
    // The caller may have gone meanwhile, and says so only once.
    if (response.destroyed) return place.release();
    response.once('close', place.release);
    const onClosing = (code: CloseCode): void => metrics.closed(code);
    const link = new EventStreamLink(response, { onClosing, sendBufferBytes });
    const connection = new EventStreamConnection(this.peerOf(caller), link, allows(caller, 'operator.read'));
    directory.add(connection, { silent: true });
    response.once('close', () => directory.remove(connection));
    try {
      const { from, cursor, gap } = await replay.resume(lastEventId);
      if (response.destroyed) return;
      link.open();
      if (gap) connection.tellGap(from);
      else {
        link.sendRaw(serverSentEvent('ready', { cursor, epoch: from.epoch, edge_id: this.options.edgeId }, cursor));
      }
      await replay.catchUp(connection, from);
    } catch (error) {
      directory.remove(connection);
      if (!response.headersSent) throw error;
      this.ports.logger.warn({ err: error }, 'an event stream could not catch up');
      link.close(CloseCode.Overloaded, 'the events cannot be read now');
    }
  }

  /** @throws {WireError} rate_limited */
  private async placeOf({ tenantId, tokenId, maxConnections = Infinity }: Principal): Promise<{ release(): void }> {
    const limit = this.options.connectionsPerDevice;
    const place = await this.ports.caps.take([
      { by: 'tenant', id: tenantId, limit: maxConnections },
      { by: 'device', id: `${tenantId}/token:${tokenId}`, limit },
    ]);
    if (place.full === undefined) return place;
    this.noteFull({ tenantId, tokenId }, place.full);
    const message = {
      address: 'too many connections of this address',
      tenant: 'too many connections of this tenant',
      device: `a token may have ${limit} event streams`,
    }[place.full];
    throw new WireError('rate_limited', message, { retry_after_ms: 5_000 });
  }

  private noteFull({ tenantId, tokenId }: Pick<Principal, 'tenantId' | 'tokenId'>, subject: CappedBy | 'edge'): void {
    this.ports.audit.note({ type: 'authz.denied', tenantId, tokenId, door: 'http', reason: 'connections', subject });
  }

  /** HTTP has no device: the streams of one token count together. */
  private peerOf({ tenantId, tokenId }: Principal) {
    const connectionId = this.ports.newId();
    return { connectionId, deviceId: `token:${tokenId}`, role: 'client', tenantId, tokenId } as const;
  }
}
