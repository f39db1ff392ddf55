import { randomUUID } from 'node:crypto';
import { Controller, Get, Param, Put, Query, Req, Res, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import {
  ConversationQueueBody,
  validatePayload,
  type ConversationListResult,
  type ConversationResult,
} from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { Chats } from '../operations/chats';
import { answerOf, idempotencyKey } from './idempotency-key';
import { conversationKeyParam, readQuery } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/conversations')
@UseGuards(ScopeGuard)
export class ConversationsController {
  constructor(private readonly chats: Chats) {}

  /** `conversation.list`: `?agent_key=&channel=&archived=&limit=&cursor=`. */
  @Get()
  @Needs('operator.read')
  list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<ConversationListResult> {
    return this.chats.list(caller.tenantId, readQuery('GET /v1/conversations', query));
  }

  /** What happens with inputs that come while a turn runs; answers the conversation. */
  @Put(':key/queue')
  @Needs('operator.write')
  async setQueue(
    @Caller() caller: Principal,
    @Param('key') key: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ConversationResult> {
    const conversationKey = conversationKeyParam(key);
    const body = validatePayload(ConversationQueueBody, request.body ?? {}, 'body');
    const payload = [conversationKey, request.body ?? {}];
    const route = { route: 'PUT /v1/conversations/:key/queue', payload, newKey: randomUUID };
    return answerOf(response, await this.chats.setQueue(idempotencyKey(request, caller, route), conversationKey, body));
  }

  /** `conversation.get`: with its newest messages. */
  @Get(':key')
  @Needs('operator.read')
  get(@Caller() caller: Principal, @Param('key') key: string): Promise<ConversationResult> {
    return this.chats.get(caller.tenantId, conversationKeyParam(key));
  }
}
