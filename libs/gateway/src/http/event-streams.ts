import { allows, type Principal } from '@tyrum/identity';
import type { Logger } from '@tyrum/platform';
import { CloseCode, LIMITS, WireError } from '@tyrum/protocol';
import type { Response } from 'express';
import type { GatewayMetrics } from '../gateway-metrics';
import type { ConnectionDirectory } from '../ws/connection-directory';
import { serverSentEvent } from '../ws/event-frames';
import type { EventReplay } from '../ws/event-replay';
import { EventStreamConnection, EventStreamLink } from './event-stream';

export interface EventStreamsPorts {
  readonly directory: ConnectionDirectory;
  readonly replay: EventReplay;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly newId: () => string;
}

export interface EventStreamsOptions {
  readonly edgeId: string;
  readonly sendBufferBytes?: number;
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
      throw new WireError('overloaded', 'too many connections', { retry_after_ms: 5_000 });
    }
    if (directory.countOf(caller.tenantId) >= (caller.maxConnections ?? Infinity)) {
      throw new WireError('rate_limited', 'too many connections of this tenant', { retry_after_ms: 5_000 });
    }
    const onClosing = (code: CloseCode): void => metrics.closed(code);
    const link = new EventStreamLink(response, {
      onClosing,
      ...(sendBufferBytes === undefined ? {} : { sendBufferBytes }),
    });
    const connection = new EventStreamConnection(this.peerOf(caller), link, allows(caller, 'operator.read'));
    if (!directory.add(connection, { silent: true })) {
      throw new WireError('rate_limited', `a token may have ${LIMITS.connectionsPerDevice} event streams`);
    }
    response.once('close', () => directory.remove(connection));
    try {
      const { from, cursor, gap } = await replay.resume(lastEventId);
      if (response.destroyed) return;
      link.open();
      if (gap) connection.tellGap(from);
      else {
        link.send(serverSentEvent('ready', { cursor, epoch: from.epoch, edge_id: this.options.edgeId }, cursor));
      }
      await replay.catchUp(connection, from);
    } catch (error) {
      directory.remove(connection);
      if (!response.headersSent) throw error;
      this.ports.logger.warn({ err: error }, 'an event stream could not catch up');
      link.close(CloseCode.Overloaded, 'the events cannot be read now');
    }
  }

  /** HTTP has no device: the streams of one token count together. */
  private peerOf({ tenantId, tokenId }: Principal) {
    const connectionId = this.ports.newId();
    return { connectionId, deviceId: `token:${tokenId}`, role: 'client', tenantId, tokenId } as const;
  }
}
