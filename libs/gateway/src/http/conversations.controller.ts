import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import { ConversationListPayload, type ConversationListResult, type ConversationResult } from '@tyrum/protocol';
import { Chats } from '../operations/chats';
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
    const payload = readQuery(ConversationListPayload, query, {
      agent_key: { kind: 'text' },
      channel: { kind: 'text' },
      cursor: { kind: 'text' },
      limit: { kind: 'number' },
      archived: { kind: 'flag' },
    });
    return this.chats.list(caller.tenantId, payload);
  }

  /** `conversation.get`: with its newest messages. */
  @Get(':key')
  @Needs('operator.read')
  get(@Caller() caller: Principal, @Param('key') key: string): Promise<ConversationResult> {
    return this.chats.get(caller.tenantId, conversationKeyParam(key));
  }
}
