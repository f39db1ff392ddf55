import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import { allows, isOperator, type Principal } from '@tyrum/identity';
import { type LeaseHistoryResult, type LeaseListResult } from '@tyrum/protocol';
import { notFound, RefusedError } from '../failures';
import { LeaseDirectory } from '../operations/lease-directory';
import { conversationKeyParam, readQuery } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** Leases of the tenant's conversations; those that belong to no tenant are for who runs the installation. */
@Controller('v1/leases')
@UseGuards(ScopeGuard)
export class LeasesController {
  constructor(private readonly directory: LeaseDirectory) {}

  /** `?kind=&limit=`. Without a kind: what the caller may see, conversations first. */
  @Get()
  @Needs('operator.read')
  async list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<LeaseListResult> {
    const { kind, limit } = readQuery('GET /v1/leases', query);
    if (kind !== undefined) this.assertMayRead(caller, kind);
    const own = kind === undefined || this.directory.isOfTenants(kind);
    const others = kind === undefined ? mayReadAll(caller) : !own;
    const leases = own ? await this.directory.ofTenant(caller.tenantId, limit) : [];
    if (others) leases.push(...(await this.directory.ofDeployment(kind, limit)));
    return { leases: leases.slice(0, limit) };
  }

  /** Newest first. */
  @Get(':kind/:name/history')
  @Needs('operator.read')
  async history(
    @Caller() caller: Principal,
    @Param('kind') kind: string,
    @Param('name') name: string,
    @Query() query: Record<string, unknown>,
  ): Promise<LeaseHistoryResult> {
    this.assertMayRead(caller, kind);
    const { limit } = readQuery('GET /v1/leases/:kind/:name/history', query);
    if (this.directory.isOfTenants(kind)) conversationKeyParam(name);
    const history = await this.directory.history(caller.tenantId, { kind, name }, limit);
    if (!history) throw notFound('lease');
    return { history };
  }

  private assertMayRead(caller: Principal, kind: string): void {
    if (this.directory.isOfTenants(kind) || mayReadAll(caller)) return;
    const who = "an administrator of the installation's own tenant";
    throw new RefusedError('operator', 'forbidden', `leases of this kind belong to no tenant: this is for ${who}`);
  }
}

function mayReadAll(caller: Principal): boolean {
  return isOperator(caller) && allows(caller, 'operator.admin');
}
