import { Controller, Get, Headers, Res, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import { ContractError, LIMITS } from '@tyrum/protocol';
import type { Response } from 'express';
import { EVENT_STREAM_HEAD } from './event-stream';
import { EventStreams } from './event-streams';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/events')
@UseGuards(ScopeGuard)
export class EventsController {
  constructor(private readonly streams: EventStreams) {}

  /**
   * The tenant's events as they come, as server-sent events. The first one is `ready` with the cursor at which they begin, or
   * `gap` where those after `Last-Event-ID` are gone; an event's id is its cursor. What is not recorded has no id.
   */
  @Get()
  @Needs('operator.read')
  stream(
    @Caller() caller: Principal,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() response: Response,
  ): Promise<void> | void {
    if (lastEventId !== undefined && lastEventId.length > LIMITS.cursorLength) {
      const message = `must not be longer than ${LIMITS.cursorLength} characters`;
      throw ContractError.at('Last-Event-ID', 'maxLength', message);
    }
    // HEAD comes here as well: a stream without a body would hold its connection and show nothing.
    if (response.req.method === 'HEAD') return void response.writeHead(200, EVENT_STREAM_HEAD).end();
    return this.streams.open(caller, lastEventId, response);
  }
}
