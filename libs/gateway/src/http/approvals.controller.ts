import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import type { Resolved } from '@tyrum/execution';
import type { Principal } from '@tyrum/identity';
import {
  ApprovalResolvePayload,
  ContractError,
  isJsonObject,
  validatePayload,
  WorkflowResumePayload,
  type ApprovalListResult,
  type OverrideList,
} from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { Gates } from '../operations/gates';
import { actorOf } from '../operations/once';
import { answerOf, idempotencyKey } from './idempotency-key';
import { readQuery, uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** What people are asked before something happens. */
@Controller('v1')
@UseGuards(ScopeGuard)
export class ApprovalsController {
  constructor(private readonly gates: Gates) {}

  /** `approval.list`: `?status=awaiting_human&kind=workflow_step&turn_id=…`, newest first. */
  @Get('approvals')
  @Needs('operator.approvals')
  list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<ApprovalListResult> {
    return this.gates.list(caller.tenantId, readQuery('GET /v1/approvals', query), 'query');
  }

  @Get('approvals/:id')
  @Needs('operator.approvals')
  async get(@Caller() caller: Principal, @Param('id') id: string) {
    return { approval: await this.gates.get(caller.tenantId, uuidParam(id)) };
  }

  /** `approval.resolve`, without `approval_id` in the body. 409 when it was decided otherwise or its time is over. */
  @Post('approvals/:id/resolve')
  @HttpCode(200)
  @Needs('operator.approvals')
  async resolve(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Resolved> {
    if (body !== undefined && !isJsonObject(body)) throw ContractError.at('body', 'isObject', 'must be an object');
    const payload = validatePayload(ApprovalResolvePayload, { ...body, approval_id: uuidParam(id) }, 'body');
    const route = { route: 'POST /v1/approvals/:id/resolve', payload: [id, body ?? {}], newKey: randomUUID };
    return answerOf(response, await this.gates.resolve(idempotencyKey(request, caller, route), payload));
  }

  /** `workflow.resume`. */
  @Post('workflows/resume')
  @HttpCode(200)
  @Needs('operator.write')
  resume(@Caller() caller: Principal, @Body() body: unknown): Promise<{ workflow_run_id: string }> {
    return this.gates.resume(caller.tenantId, validatePayload(WorkflowResumePayload, body, 'body').token);
  }

  /** The standing answers that "always" has made, newest first. */
  @Get('policy-overrides')
  @Needs('operator.approvals')
  overrides(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<OverrideList> {
    return this.gates.overrides(caller.tenantId, readQuery('GET /v1/policy-overrides', query));
  }

  /** From now on it is asked again. */
  @Delete('policy-overrides/:id')
  @Needs('operator.approvals')
  async revoke(@Caller() caller: Principal, @Param('id') id: string) {
    return { override: await this.gates.revokeOverride(caller.tenantId, uuidParam(id), actorOf(caller)) };
  }
}
