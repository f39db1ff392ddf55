import { Body, Controller, Get, Put, Query, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import { ClaimShareBody, validatePayload, type ClaimShareList, type ClaimShareView } from '@tyrum/protocol';
import { ClaimShares } from '../operations/claim-shares';
import { readQuery } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** What tenants and agents get of the workers. `PUT` sets a state: sent twice it is the same. */
@Controller('v1/claim-shares')
@UseGuards(ScopeGuard)
export class ClaimSharesController {
  constructor(private readonly shares: ClaimShares) {}

  /** `{shares}` of the caller's tenant; `?tenant_id=` for those who run the installation. */
  @Get()
  @Needs('operator.admin')
  async list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<ClaimShareList> {
    const { tenant_id } = readQuery('GET /v1/claim-shares', query);
    return { shares: await this.shares.list(caller, tenant_id) };
  }

  @Put()
  @Needs('operator.admin')
  set(@Caller() caller: Principal, @Body() body: unknown): Promise<ClaimShareView> {
    return this.shares.set(caller, validatePayload(ClaimShareBody, body, 'body'));
  }
}
