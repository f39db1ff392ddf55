import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import { TurnReader } from '@tyrum/execution';
import type { Principal } from '@tyrum/identity';
import {
  TurnCancelBody,
  TurnRedriveBody,
  TurnResolveBody,
  TurnSignalBody,
  validatePayload,
  type TurnListResult,
  type TurnSignalled,
} from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { randomUUID } from 'node:crypto';
import { notFound } from '../failures';
import { listTurns } from '../operations/turn-list';
import { resolutionOf, Workflows } from '../operations/workflows';
import { answerOf, idempotencyKey } from './idempotency-key';
import { readQuery, uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/turns')
@UseGuards(ScopeGuard)
export class TurnsController {
  constructor(
    private readonly reader: TurnReader,
    private readonly workflows: Workflows,
  ) {}

  /** `turn.list`: `?status=running,paused&limit=50&cursor=`, newest first; `?dead=true`: those given up. */
  @Get()
  @Needs('operator.read')
  async list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<TurnListResult> {
    return listTurns(this.reader, caller.tenantId, readQuery('GET /v1/turns', query), 'query');
  }

  /** A turn with its steps and what it waits for. */
  @Get(':id')
  @Needs('operator.read')
  async get(@Caller() caller: Principal, @Param('id') id: string) {
    const turn = await this.reader.get(caller.tenantId, uuidParam(id));
    if (!turn) throw notFound('turn');
    return turn;
  }

  /** `{turn_id, cancelled}`; false when it had ended before. */
  @Post(':id/cancel')
  @HttpCode(200)
  @Needs('operator.write')
  async cancel(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<{ turn_id: string; cancelled: boolean }> {
    const turn_id = uuidParam(id);
    const { reason } = validatePayload(TurnCancelBody, request.body ?? {}, 'body');
    const route = { route: 'POST /v1/turns/:id/cancel', payload: [turn_id, request.body ?? {}], newKey: randomUUID };
    const done = await this.workflows.cancel(idempotencyKey(request, caller, route), turn_id, reason);
    return { turn_id, cancelled: answerOf(response, done).cancelled };
  }

  /** `{turn_id, redrive_of}`: the new turn. 409 when the turn is not dead or its last step needs a decision. */
  @Post(':id/redrive')
  @HttpCode(202)
  @Needs('operator.write')
  async redrive(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<{ turn_id: string; redrive_of: string }> {
    const turnId = uuidParam(id);
    const body: unknown = request.body ?? {};
    const { decision } = validatePayload(TurnRedriveBody, body, 'body');
    const route = { route: 'POST /v1/turns/:id/redrive', payload: [turnId, body], newKey: randomUUID };
    const done = await this.workflows.redrive(idempotencyKey(request, caller, route), turnId, decision);
    return answerOf(response, done);
  }

  /** Settles a step of unknown outcome. 409 when the turn does not wait for that. */
  @Post(':id/resolve')
  @HttpCode(200)
  @Needs('operator.write')
  async resolve(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<{ turn_id: string; decision: string }> {
    const turnId = uuidParam(id);
    const resolution = resolutionOf(validatePayload(TurnResolveBody, body, 'body'));
    const route = { route: 'POST /v1/turns/:id/resolve', payload: [turnId, body], newKey: randomUUID };
    const done = await this.workflows.resolve(idempotencyKey(request, caller, route), turnId, resolution);
    return answerOf(response, done);
  }

  /** `{turn_id, name, outcome: ready | kept | already}`: what the turn waits for, or will, has happened. 409 when it has ended. */
  @Post(':id/signals')
  @HttpCode(200)
  @Needs('operator.write')
  async signal(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<TurnSignalled> {
    const turnId = uuidParam(id);
    const signal = validatePayload(TurnSignalBody, body, 'body');
    const route = { route: 'POST /v1/turns/:id/signals', payload: [turnId, body], newKey: randomUUID };
    return answerOf(response, await this.workflows.signal(idempotencyKey(request, caller, route), turnId, signal));
  }
}
