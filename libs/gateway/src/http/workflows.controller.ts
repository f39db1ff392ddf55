import { Body, Controller, HttpCode, Post, Req, Res, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import { validatePayload, WorkflowStartPayload, type WorkflowStartResult } from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { randomUUID } from 'node:crypto';
import { Workflows } from '../operations/workflows';
import { answerOf, idempotencyKey } from './idempotency-key';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/workflows')
@UseGuards(ScopeGuard)
export class WorkflowsController {
  constructor(private readonly workflows: Workflows) {}

  /** `workflow.start`. 202 after the commit; 422 when the key came with another payload. */
  @Post()
  @HttpCode(202)
  @Needs('operator.write')
  async start(
    @Caller() caller: Principal,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<WorkflowStartResult> {
    const payload = validatePayload(WorkflowStartPayload, body, 'body');
    const key = idempotencyKey(request, caller, { route: 'POST /v1/workflows', payload: body, newKey: randomUUID });
    return answerOf(response, await this.workflows.start(key, payload, 'body'));
  }
}
