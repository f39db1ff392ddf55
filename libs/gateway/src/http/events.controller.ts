import { randomUUID } from 'node:crypto';
import { Controller, Get, Headers, Inject, Res, UseGuards } from '@nestjs/common';
import { allows, type Principal } from '@tyrum/identity';
import { CONFIG, LOGGER, type Config, type Logger } from '@tyrum/platform';
import { CloseCode, ContractError, LIMITS, WireError } from '@tyrum/protocol';
import type { Response } from 'express';
import { GATEWAY_OPTIONS } from '../gateway-options';
import type { GatewayOptions } from '../gateway.module';
import { GatewayMetrics } from '../gateway-metrics';
import { ConnectionDirectory } from '../ws/connection-directory';
import { serverSentEvent } from '../ws/event-frames';
import { EventReplay } from '../ws/event-replay';
import { DEFAULT_MAX_SOCKETS } from '../ws/socket-door';
import { EventStreamConnection, EventStreamLink } from './event-stream';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/events')
@UseGuards(ScopeGuard)
export class EventsController {
  constructor(
    @Inject(ConnectionDirectory) private readonly directory: ConnectionDirectory,
    @Inject(EventReplay) private readonly replay: EventReplay,
    @Inject(GatewayMetrics) private readonly metrics: GatewayMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(GATEWAY_OPTIONS) private readonly options: GatewayOptions,
  ) {}

  /**
   * The tenant's events as they come, as server-sent events. The first one is `ready` with the cursor at which they begin, or
   * `gap` where those after `Last-Event-ID` are gone; an event's id is its cursor. What is not recorded has no id.
   */
  @Get()
  @Needs('operator.read')
  async stream(
    @Caller() caller: Principal,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() response: Response,
  ): Promise<void> {
    if (lastEventId !== undefined && lastEventId.length > LIMITS.cursorLength) {
      throw ContractError.at('Last-Event-ID', 'maxLength', `must not be longer than ${LIMITS.cursorLength} characters`);
    }
    if (this.directory.size >= (this.options.maxSockets ?? DEFAULT_MAX_SOCKETS)) {
      throw new WireError('overloaded', 'too many connections', { retry_after_ms: 5_000 });
    }
    const { sendBufferBytes } = this.options;
    const link = new EventStreamLink(response, {
      onClosing: (code) => this.metrics.closed(code),
      ...(sendBufferBytes === undefined ? {} : { sendBufferBytes }),
    });
    const { tenantId, tokenId } = caller;
    // HTTP has no device: the connections of one token count together.
    const peer = {
      connectionId: randomUUID(),
      deviceId: `token:${tokenId}`,
      role: 'client',
      tenantId,
      tokenId,
    } as const;
    const connection = new EventStreamConnection(peer, link, allows(caller, 'operator.read'));
    if (!this.directory.add(connection, { silent: true })) {
      throw new WireError('rate_limited', `a token may have ${LIMITS.connectionsPerDevice} event streams`);
    }
    response.once('close', () => this.directory.remove(connection));
    try {
      const { from, cursor, gap } = await this.replay.resume(lastEventId);
      if (response.destroyed) return;
      link.open();
      if (gap) connection.tellGap(from);
      else link.send(serverSentEvent('ready', { cursor, epoch: from.epoch, edge_id: this.config.instanceId }, cursor));
      await this.replay.catchUp(connection, from);
    } catch (error) {
      this.directory.remove(connection);
      if (!response.headersSent) throw error;
      this.logger.warn({ err: error }, 'an event stream could not catch up');
      link.close(CloseCode.Overloaded, 'the events cannot be read now');
    }
  }
}
