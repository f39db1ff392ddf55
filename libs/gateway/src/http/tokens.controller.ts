import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import { allows, TokenStore, type NewToken, type Principal } from '@tyrum/identity';
import { TokenCreateBody, validatePayload, WireError, type TokenCreated, type TokenList } from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { notFound, RefusedError } from '../failures';
import { BY_TIME, readPage } from '../operations/list-cursor';
import { actorOf, Once } from '../operations/once';
import { answerOf, idempotencyKey } from './idempotency-key';
import { readQuery, uuidParam } from './query';
import { Caller, Needs, ScopeGuard, tokenOf } from './request-principal';
import { openAnswer, sealAnswer } from './sealed-answer';
import { tokenCreated, tokenView } from './token-view';

/** Tokens of the caller's tenant. */
@Controller('v1/tokens')
@UseGuards(ScopeGuard)
export class TokensController {
  constructor(
    private readonly tokens: TokenStore,
    private readonly once: Once,
  ) {}

  @Post()
  @Needs('operator.admin')
  async create(
    @Caller() caller: Principal,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<TokenCreated> {
    const wanted = newTokenOf(caller, validatePayload(TokenCreateBody, body, 'body'));
    const key = idempotencyKey(request, caller, { route: 'POST /v1/tokens', payload: body, newKey: randomUUID });
    const seal = { token: tokenOf(request), context: `${key.route} ${key.key}` };
    const done = await this.once.run(key, async (tx) => {
      return { sealed: sealAnswer(seal, tokenCreated(await this.tokens.issueIn(tx, wanted))) };
    });
    const created = openAnswer(seal, answerOf(response, done).sealed) as TokenCreated | undefined;
    // The caller's token got another secret under the same id meanwhile.
    if (!created) throw new WireError('conflict', 'the token was issued and cannot be shown again');
    return created;
  }

  @Get()
  @Needs('operator.admin')
  async list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<TokenList> {
    const { rows, next } = await readPage(readQuery('GET /v1/tokens', query), BY_TIME, {
      read: (page) => this.tokens.list(caller.tenantId, page),
      placeOf: ({ created_at, token_id }) => ({ at: created_at, id: token_id }),
    });
    return { tokens: rows.map(tokenView), ...next };
  }

  /** Revokes it. Acts here at once and elsewhere within a second. */
  @Delete(':id')
  @HttpCode(204)
  @Needs('operator.admin')
  async revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    if (!(await this.tokens.revoke(caller.tenantId, uuidParam(id), actorOf(caller)))) throw notFound('token');
  }
}

/** What is to be issued. @throws {WireError} forbidden, when the caller does not hold it itself */
function newTokenOf(caller: Principal, body: TokenCreateBody): NewToken {
  const scopes = body.scopes ?? [];
  if (caller.role !== 'admin' && (body.role === 'admin' || !scopes.every((scope) => allows(caller, scope)))) {
    throw new RefusedError('grant', 'forbidden', 'a token cannot issue what it does not hold itself');
  }
  return {
    tenantId: caller.tenantId,
    actor: actorOf(caller),
    role: body.role,
    scopes,
    ...(body.label === undefined ? {} : { label: body.label }),
    ...(body.device_id === undefined ? {} : { deviceId: body.device_id }),
    ...(body.expires_at === undefined ? {} : { expiresAt: Date.parse(body.expires_at) }),
  };
}
