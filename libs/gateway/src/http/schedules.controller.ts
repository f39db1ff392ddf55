import { randomUUID } from 'node:crypto';
import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Optional,
  Param,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import { noteAudit } from '@tyrum/evidence';
import type { Principal } from '@tyrum/identity';
import { ScheduleCreateBody, validatePayload, WireError, type Schedule } from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { notFound } from '../failures';
import { Audited } from '../operations/audited';
import { actorOf, Once } from '../operations/once';
import { SCHEDULES_PORT, type SchedulesPort } from '../ports';
import { answerOf, idempotencyKey } from './idempotency-key';
import { uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/schedules')
@UseGuards(ScopeGuard)
export class SchedulesController {
  constructor(
    private readonly once: Once,
    private readonly audited: Audited,
    @Optional() @Inject(SCHEDULES_PORT) private readonly schedules?: SchedulesPort,
  ) {}

  @Post()
  @Needs('operator.write')
  async create(
    @Caller() caller: Principal,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Schedule> {
    const port = this.port();
    const wanted = validatePayload(ScheduleCreateBody, body, 'body');
    const key = idempotencyKey(request, caller, { route: 'POST /v1/schedules', payload: body, newKey: randomUUID });
    const done = await this.once.run(key, async (tx) => {
      const schedule = await port.createIn(tx, caller.tenantId, wanted);
      const { tenantId, actor } = key;
      const detail = { cadence: wanted.cadence, conversation_key: wanted.execution.conversation_key };
      const subject = `schedule:${schedule.schedule_id}`;
      await noteAudit(tx, [{ tenantId, type: 'schedule.created', actor, subject, detail }]);
      return schedule;
    });
    port.wake();
    return answerOf(response, done);
  }

  @Get()
  @Needs('operator.read')
  async list(@Caller() caller: Principal): Promise<{ schedules: Schedule[] }> {
    return { schedules: await this.port().list(caller.tenantId) };
  }

  @Delete(':id')
  @HttpCode(204)
  @Needs('operator.write')
  async remove(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    const port = this.port();
    const scheduleId = uuidParam(id);
    const { tenantId } = caller;
    const note = {
      tenantId,
      type: 'schedule.deleted',
      actor: actorOf(caller),
      subject: `schedule:${scheduleId}`,
    } as const;
    const removed = await this.audited.run(
      () => port.remove(tenantId, scheduleId),
      (done) => (done ? [note] : []),
    );
    if (!removed) throw notFound('schedule');
  }

  private port(): SchedulesPort {
    if (!this.schedules) throw new WireError('not_found', 'schedules are not served by this gateway');
    return this.schedules;
  }
}
