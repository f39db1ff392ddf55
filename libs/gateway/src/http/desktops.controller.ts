import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Req, Res, UseGuards } from '@nestjs/common';
import { DesktopEnvironments, type EnvironmentRef } from '@tyrum/desktops';
import type { Principal } from '@tyrum/identity';
import {
  DesktopCreateBody,
  DesktopMoveBody,
  validatePayload,
  type DesktopDesire,
  type DesktopList,
  type DesktopResult,
} from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { notFound } from '../failures';
import { actorOf, Once } from '../operations/once';
import { answerOf, idempotencyKey } from './idempotency-key';
import { uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** Desktops of the caller's tenant. What is asked for is answered as written down; a host then does it. */
@Controller('v1/desktop-environments')
@UseGuards(ScopeGuard)
export class DesktopsController {
  constructor(
    private readonly desktops: DesktopEnvironments,
    private readonly once: Once,
  ) {}

  @Post()
  @Needs('operator.admin')
  async create(
    @Caller() caller: Principal,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DesktopResult> {
    const wanted = validatePayload(DesktopCreateBody, body ?? {}, 'body');
    const route = { route: 'POST /v1/desktop-environments', payload: body ?? {}, newKey: randomUUID };
    const work = await this.once.run(idempotencyKey(request, caller, route), async (tx) => ({
      environment: await this.desktops.createIn(tx, refOf(caller, randomUUID()), wanted),
    }));
    return answerOf(response, work);
  }

  @Get()
  @Needs('operator.read')
  async list(@Caller() caller: Principal): Promise<DesktopList> {
    return { environments: await this.desktops.list(caller.tenantId) };
  }

  @Get(':id')
  @Needs('operator.read')
  async show(@Caller() caller: Principal, @Param('id') id: string): Promise<DesktopResult> {
    const environment = await this.desktops.find(caller.tenantId, uuidParam(id));
    if (!environment) throw notFound('desktop');
    return { environment };
  }

  @Post(':id/start')
  @HttpCode(202)
  @Needs('operator.write')
  start(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DesktopResult> {
    return this.want(refOf(caller, uuidParam(id)), 'running', { caller, request, response });
  }

  @Post(':id/stop')
  @HttpCode(202)
  @Needs('operator.write')
  stop(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DesktopResult> {
    return this.want(refOf(caller, uuidParam(id)), 'stopped', { caller, request, response });
  }

  @Post(':id/move')
  @HttpCode(202)
  @Needs('operator.admin')
  async move(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DesktopResult> {
    const ref = refOf(caller, uuidParam(id));
    const wanted = validatePayload(DesktopMoveBody, body ?? {}, 'body');
    const payload = { id, ...wanted };
    const route = { route: 'POST /v1/desktop-environments/:id/move', payload, newKey: randomUUID };
    const work = await this.once.run(idempotencyKey(request, caller, route), async (tx) => ({
      environment: await this.desktops.moveIn(tx, ref, wanted),
    }));
    this.desktops.wake();
    return answerOf(response, work);
  }

  @Delete(':id')
  @HttpCode(204)
  @Needs('operator.admin')
  async remove(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    if (!(await this.desktops.remove(refOf(caller, uuidParam(id))))) throw notFound('desktop');
  }

  private async want(
    ref: EnvironmentRef,
    desired: DesktopDesire,
    { caller, request, response }: { caller: Principal; request: Request; response: Response },
  ): Promise<DesktopResult> {
    const name = desired === 'running' ? 'start' : 'stop';
    const payload = ref.environmentId;
    const route = { route: `POST /v1/desktop-environments/:id/${name}`, payload, newKey: randomUUID };
    const work = await this.once.run(idempotencyKey(request, caller, route), async (tx) => ({
      environment: await this.desktops.wantIn(tx, ref, desired),
    }));
    return answerOf(response, work);
  }
}

function refOf(caller: Principal, environmentId: string): EnvironmentRef {
  return { tenantId: caller.tenantId, environmentId, actor: actorOf(caller) };
}
