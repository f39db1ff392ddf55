import { Body, Controller, Delete, Get, HttpCode, Param, Post, UseGuards } from '@nestjs/common';
import { allows, TokenStore, type Principal, type TokenRecord } from '@tyrum/identity';
import { TokenCreateBody, validatePayload, WireError, type TokenCreated } from '@tyrum/protocol';
import { notFound } from '../failures';
import { uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/**
 * Tokens of the caller's tenant. An `Idempotency-Key` has no effect on `POST`: a replay would have to keep the secret, and
 * a secret is stored nowhere.
 */
@Controller('v1/tokens')
@UseGuards(ScopeGuard)
export class TokensController {
  constructor(private readonly tokens: TokenStore) {}

  @Post()
  @Needs('operator.admin')
  async create(@Caller() caller: Principal, @Body() body: unknown): Promise<TokenCreated> {
    const request = validatePayload(TokenCreateBody, body, 'body');
    const scopes = request.scopes ?? [];
    if (caller.role !== 'admin' && (request.role === 'admin' || !scopes.every((scope) => allows(caller, scope)))) {
      throw new WireError('forbidden', 'a token cannot issue what it does not hold itself');
    }
    const { token, record } = await this.tokens.issue({
      tenantId: caller.tenantId,
      role: request.role,
      scopes,
      ...(request.label === undefined ? {} : { label: request.label }),
      ...(request.device_id === undefined ? {} : { deviceId: request.device_id }),
      ...(request.expires_at === undefined ? {} : { expiresAt: Date.parse(request.expires_at) }),
    });
    const { revoked_at: _, ...shown } = viewOf(record);
    return { ...shown, token };
  }

  @Get()
  @Needs('operator.admin')
  async list(@Caller() caller: Principal) {
    return { tokens: (await this.tokens.list(caller.tenantId)).map(viewOf) };
  }

  /** Revokes it. Acts here at once and elsewhere within a second. */
  @Delete(':id')
  @HttpCode(204)
  @Needs('operator.admin')
  async revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    if (!(await this.tokens.revoke(caller.tenantId, uuidParam(id)))) throw notFound('token');
  }
}

function viewOf(record: TokenRecord) {
  return {
    token_id: record.token_id,
    role: record.role,
    scopes: record.scopes,
    ...(record.label === null ? {} : { label: record.label }),
    ...(record.device_id === null ? {} : { device_id: record.device_id }),
    created_at: new Date(record.created_at).toISOString(),
    expires_at: record.expires_at === null ? null : new Date(record.expires_at).toISOString(),
    revoked_at: record.revoked_at === null ? null : new Date(record.revoked_at).toISOString(),
  };
}
