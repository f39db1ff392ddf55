import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Req, Res, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import {
  DEFAULT_TENANT_ID,
  isUuid,
  validatePayload,
  WEBHOOK_NONCE_HEADER,
  WEBHOOK_SIGNATURE_HEADER,
  WEBHOOK_TIMESTAMP_HEADER,
  WebhookCreateBody,
  type WebhookCreated,
  type WebhookFired,
  type WebhookList,
} from '@tyrum/protocol';
import type { TenantRecord } from '@tyrum/statestore/records';
import type { Request, Response } from 'express';
import { notFound, refusalOf } from '../failures';
import { Admission } from '../limits/admission';
import { RefusalAudit } from '../limits/refusal-audit';
import { actorOf } from '../operations/once';
import { CallRefusedError, Webhooks } from '../operations/webhooks';
import { answerOf, idempotencyKey } from './idempotency-key';
import { uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** The webhooks of a tenant. */
@Controller('v1/webhooks')
@UseGuards(ScopeGuard)
export class WebhooksController {
  constructor(private readonly webhooks: Webhooks) {}

  @Post()
  @Needs('operator.write')
  async create(
    @Caller() caller: Principal,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<WebhookCreated> {
    const wanted = validatePayload(WebhookCreateBody, body, 'body');
    const key = idempotencyKey(request, caller, { route: 'POST /v1/webhooks', payload: body, newKey: randomUUID });
    return answerOf(response, await this.webhooks.create(key, wanted));
  }

  @Get()
  @Needs('operator.read')
  async list(@Caller() caller: Principal): Promise<WebhookList> {
    return { webhooks: await this.webhooks.list(caller.tenantId) };
  }

  @Delete(':id')
  @HttpCode(204)
  @Needs('operator.write')
  async remove(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    if (!(await this.webhooks.remove(caller.tenantId, uuidParam(id), actorOf(caller)))) throw notFound('webhook');
  }

  /** Renews the secret. */
  @Post(':id/renew')
  @HttpCode(200)
  @Needs('operator.write')
  async renew(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<WebhookCreated> {
    const triggerId = uuidParam(id);
    const route = { route: 'POST /v1/webhooks/:id/renew', payload: triggerId, newKey: randomUUID };
    return answerOf(response, await this.webhooks.renew(idempotencyKey(request, caller, route), triggerId));
  }
}

/** Where others call. The signature is the only credential, and what is wrong with a call is told to nobody but its tenant. */
@Controller('webhooks')
export class WebhookCallsController {
  constructor(
    private readonly webhooks: Webhooks,
    @Inject(Admission) private readonly admission: Admission,
    @Inject(RefusalAudit) private readonly audit: RefusalAudit,
  ) {}

  @Post(':trigger')
  @HttpCode(202)
  async call(
    @Param('trigger') trigger: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<WebhookFired> {
    let owner: string | undefined;
    const admit = ({ tenant_id: tenantId, max_requests: maxRequests }: TenantRecord): void => {
      owner = tenantId;
      this.admission.requireTrigger({ tenantId, triggerId: trigger, ...(maxRequests === null ? {} : { maxRequests }) });
    };
    try {
      const timestamp = request.get(WEBHOOK_TIMESTAMP_HEADER) ?? '';
      const nonce = request.get(WEBHOOK_NONCE_HEADER) ?? '';
      const signature = request.get(WEBHOOK_SIGNATURE_HEADER) ?? '';
      if (!isUuid(trigger)) throw new CallRefusedError('unknown_trigger');
      if (!/^\d{1,12}$/.test(timestamp) || !/^[\x21-\x7e]{1,128}$/.test(nonce)) throw new CallRefusedError('signature');
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      return answerOf(
        response,
        await this.webhooks.fire(trigger, { timestamp, nonce, signature, body, headers: headersOf(request) }, admit),
      );
    } catch (error) {
      if (error instanceof CallRefusedError) {
        const { reason, tenantId = DEFAULT_TENANT_ID } = error;
        this.audit.note({ type: 'auth.failed', tenantId, door: 'webhook', reason });
      }
      const refusal = refusalOf(error);
      if (owner !== undefined && refusal) this.audit.note({ ...refusal, tenantId: owner, door: 'webhook' });
      throw error;
    }
  }
}

/** Not for steps: credentials of whatever stands in between, and those of the call itself. */
const WITHHELD = /^(authorization|cookie|proxy-.*|tyrum-signature)$/;

function headersOf(request: Request): Record<string, string> {
  const named = Object.entries(request.headers).filter(([name]) => !WITHHELD.test(name));
  return Object.fromEntries(
    named.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
