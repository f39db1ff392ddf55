import { randomUUID } from 'node:crypto';
import { Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req, Res, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import {
  ConversationCreatePayload,
  ConversationQueueBody,
  MessageSendBody,
  validatePayload,
  type ConversationListResult,
  type ConversationResult,
  type StreamResult,
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

  /** `conversation.create`. */
  @Post()
  @Needs('operator.write')
  async create(
    @Caller() caller: Principal,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ConversationResult> {
    const body: unknown = request.body ?? {};
    const wanted = validatePayload(ConversationCreatePayload, body, 'body');
    const key = idempotencyKey(request, caller, { route: 'POST /v1/conversations', payload: body, newKey: randomUUID });
    return answerOf(response, await this.chats.create(key, wanted));
  }

  /** `conversation.send`. */
  @Post(':key/messages')
  @HttpCode(202)
  @Needs('operator.write')
  async send(
    @Caller() caller: Principal,
    @Param('key') key: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<StreamResult> {
    const conversation_id = conversationKeyParam(key);
    const body = validatePayload(MessageSendBody, request.body ?? {}, 'body');
    const payload = [conversation_id, request.body ?? {}];
    const route = { route: 'POST /v1/conversations/:key/messages', payload, newKey: randomUUID };
    const named = idempotencyKey(request, caller, route);
    return answerOf(response, await this.chats.send(named, caller.tokenId, { ...body, conversation_id }));
  }

  /** `conversation.delete`. 409 while a turn is open. */
  @Delete(':key')
  @HttpCode(204)
  @Needs('operator.write')
  async remove(@Caller() caller: Principal, @Param('key') key: string, @Req() request: Request): Promise<void> {
    const conversationKey = conversationKeyParam(key);
    const route = { route: 'DELETE /v1/conversations/:key', payload: conversationKey, newKey: randomUUID };
    await this.chats.remove(idempotencyKey(request, caller, route), conversationKey);
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
