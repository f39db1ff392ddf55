import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import { allows, isOperator, type Principal } from '@tyrum/identity';
import type { LeaseHistoryResult, LeaseListResult } from '@tyrum/protocol';
import { RefusedError } from '../failures';
import { LeaseDirectory } from '../operations/lease-directory';
import { BY_LEASE, readPage } from '../operations/list-cursor';
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
    const { kind, ...page } = readQuery('GET /v1/leases', query);
    if (kind !== undefined) this.assertMayRead(caller, kind);
    const own = kind === undefined || this.directory.isOfTenants(kind);
    const others = kind === undefined ? mayReadAll(caller) : !own;
    const filter = { tenantId: caller.tenantId, kind, own, others };
    const { rows, next } = await readPage(page, BY_LEASE, {
      read: (part) => this.directory.list(filter, part),
      placeOf: (lease) => lease,
    });
    return { leases: rows, ...next };
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
    const page = readQuery('GET /v1/leases/:kind/:name/history', query);
    if (this.directory.isOfTenants(kind)) conversationKeyParam(name);
    return this.directory.history(caller.tenantId, { kind, name }, page);
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
