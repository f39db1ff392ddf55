import { randomUUID } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Param, Patch, Post, Req, Res, UseGuards } from '@nestjs/common';
import { isOperator, Tenants, TokenStore, type Principal, type TenantQuotas } from '@tyrum/identity';
import {
  TenantCreateBody,
  TenantUpdateBody,
  validatePayload,
  WireError,
  type TenantCreated,
  type TenantList,
  type TenantView,
} from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { hiddenFromTenants, notFound, RefusedError } from '../failures';
import { actorOf, Once } from '../operations/once';
import { answerOf, idempotencyKey } from './idempotency-key';
import { uuidParam } from './query';
import { Caller, Needs, ScopeGuard, tokenOf } from './request-principal';
import { openAnswer, sealAnswer } from './sealed-answer';
import { tokenCreated } from './token-view';

type Row = NonNullable<Awaited<ReturnType<Tenants['get']>>>;

/** In its own audit nobody of another tenant is named. */
const FIRST_ADMIN = { role: 'admin', scopes: [], label: 'first admin', actor: 'installation' } as const;

/** The tenants of the installation. Only admins of its first tenant see that there are others. */
@Controller('v1/tenants')
@UseGuards(ScopeGuard)
export class TenantsController {
  constructor(
    private readonly tenants: Tenants,
    private readonly tokens: TokenStore,
    private readonly once: Once,
  ) {}

  /** Creates one with its first admin's token. */
  @Post()
  @Needs('operator.admin')
  async create(
    @Caller() caller: Principal,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<TenantCreated> {
    requireOperator(caller);
    const { slug, disabled, ...quotas } = validatePayload(TenantCreateBody, body, 'body');
    if (disabled) throw new WireError('invalid_request', 'a tenant is disabled after it was created');
    const key = idempotencyKey(request, caller, { route: 'POST /v1/tenants', payload: body, newKey: randomUUID });
    const seal = { token: tokenOf(request), context: `${key.route} ${key.key}` };
    const done = await this.once.run(key, async (tx) => {
      const tenant = await this.tenants.createIn(tx, { slug, actor: key.actor, ...quotasOf(quotas) });
      const { tenant_id: tenantId } = tenant;
      const admin = await this.tokens.issueIn(tx, { ...FIRST_ADMIN, tenantId });
      return { sealed: sealAnswer(seal, { tenant: viewOf(tenant), admin: tokenCreated(admin) }) };
    });
    const created = openAnswer(seal, answerOf(response, done).sealed) as TenantCreated | undefined;
    if (!created) throw new WireError('conflict', 'the tenant was created and its token cannot be shown again');
    return created;
  }

  @Get()
  @Needs('operator.admin')
  async list(@Caller() caller: Principal): Promise<TenantList> {
    requireOperator(caller);
    return { tenants: (await this.tenants.list()).map(viewOf) };
  }

  @Get(':id')
  @Needs('operator.admin')
  async get(@Caller() caller: Principal, @Param('id') id: string): Promise<TenantView> {
    if (!isOperator(caller)) throw hiddenFromTenants('tenant');
    const found = await this.tenants.get(uuidParam(id));
    if (!found) throw notFound('tenant');
    return viewOf(found);
  }

  /** Quotas, and whether anything of it goes on: its tokens, connections, turns and schedules. */
  @Patch(':id')
  @HttpCode(200)
  @Needs('operator.admin')
  async update(@Caller() caller: Principal, @Param('id') id: string, @Body() body: unknown): Promise<TenantView> {
    const { disabled, ...quotas } = validatePayload(TenantUpdateBody, body, 'body');
    const wish = { actor: actorOf(caller), ...quotasOf(quotas), ...(disabled === undefined ? {} : { disabled }) };
    if (!isOperator(caller)) throw hiddenFromTenants('tenant');
    const found = await this.tenants.update(uuidParam(id), wish);
    if (!found) throw notFound('tenant');
    return viewOf(found);
  }
}

function requireOperator(caller: Principal): void {
  if (!isOperator(caller)) throw new RefusedError('operator', 'forbidden', "this is for the installation's own tenant");
}

function quotasOf({ max_connections, max_requests, max_stored_bytes }: TenantUpdateBody): TenantQuotas {
  return {
    ...(max_connections === undefined ? {} : { maxConnections: max_connections || null }),
    ...(max_requests === undefined ? {} : { maxRequests: max_requests || null }),
    ...(max_stored_bytes === undefined ? {} : { maxStoredBytes: max_stored_bytes || null }),
  };
}

function viewOf({ tenant_id, slug, created_at, disabled_at, ...usage }: Row): TenantView {
  return {
    tenant_id,
    slug,
    created_at: new Date(created_at).toISOString(),
    disabled_at: disabled_at === null ? null : new Date(disabled_at).toISOString(),
    max_connections: usage.max_connections,
    max_requests: usage.max_requests,
    max_stored_bytes: usage.max_stored_bytes,
    stored_bytes: usage.stored_bytes,
  };
}
