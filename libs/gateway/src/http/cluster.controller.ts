import { Controller, Get, UseGuards } from '@nestjs/common';
import { isOperator, type Principal } from '@tyrum/identity';
import type { Cluster } from '@tyrum/protocol';
import { ClusterView } from '../operations/cluster-view';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** How the deployment is, as far as it is the caller's. */
@Controller('v1/cluster')
@UseGuards(ScopeGuard)
export class ClusterController {
  constructor(private readonly view: ClusterView) {}

  @Get()
  @Needs('operator.admin')
  async get(@Caller() caller: Principal): Promise<Cluster> {
    const deployment = isOperator(caller) ? await this.view.deployment() : null;
    return { at: new Date().toISOString(), tenant: await this.view.ofTenant(caller.tenantId), deployment };
  }
}
