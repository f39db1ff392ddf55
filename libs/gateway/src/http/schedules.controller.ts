import { Body, Controller, Delete, Get, HttpCode, Inject, Optional, Param, Post, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import { ScheduleCreateBody, validatePayload, WireError, type Schedule } from '@tyrum/protocol';
import { notFound } from '../failures';
import { SCHEDULES_PORT, type SchedulesPort } from '../ports';
import { uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/schedules')
@UseGuards(ScopeGuard)
export class SchedulesController {
  constructor(@Optional() @Inject(SCHEDULES_PORT) private readonly schedules?: SchedulesPort) {}

  @Post()
  @Needs('operator.write')
  create(@Caller() caller: Principal, @Body() body: unknown): Promise<Schedule> {
    return this.port().create(caller.tenantId, validatePayload(ScheduleCreateBody, body, 'body'));
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
    if (!(await this.port().remove(caller.tenantId, uuidParam(id)))) throw notFound('schedule');
  }

  private port(): SchedulesPort {
    if (!this.schedules) throw new WireError('not_found', 'schedules are not served by this gateway');
    return this.schedules;
  }
}
