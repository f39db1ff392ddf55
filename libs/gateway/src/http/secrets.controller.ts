import { createHmac, randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import {
  SecretCreateBody,
  SecretRotateBody,
  validatePayload,
  WireError,
  type SecretList,
  type SecretResult,
  type SecretView,
} from '@tyrum/protocol';
import { NoKeysError, SecretStore, type SecretRecord } from '@tyrum/secrets';
import type { Request, Response } from 'express';
import { notFound } from '../failures';
import { BY_SECRET, readPage } from '../operations/list-cursor';
import { actorOf, Once } from '../operations/once';
import { answerOf, idempotencyKey } from './idempotency-key';
import { readQuery, secretKeyParam } from './query';
import { Caller, Needs, ScopeGuard, tokenOf } from './request-principal';

/** Secrets of the caller's tenant. A value comes in and never goes out. */
@Controller('v1/secrets')
@UseGuards(ScopeGuard)
export class SecretsController {
  constructor(
    private readonly secrets: SecretStore,
    private readonly once: Once,
  ) {}

  @Post()
  @Needs('operator.admin')
  async create(
    @Caller() caller: Principal,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SecretResult> {
    const { key, value, description, hosts } = validatePayload(SecretCreateBody, body, 'body');
    const payload = { key, description, hosts, value: digestOf(request, value) };
    const once = idempotencyKey(request, caller, { route: 'POST /v1/secrets', payload, newKey: randomUUID });
    const ref = { tenantId: caller.tenantId, key, actor: actorOf(caller) };
    const wanted = {
      value,
      ...(description === undefined ? {} : { description }),
      ...(hosts === undefined ? {} : { hosts }),
    };
    const work = this.once.run(once, async (tx) => viewOf(await this.secrets.createIn(tx, ref, wanted)));
    return { secret: answerOf(response, await work.catch(sayWhatIsMissing)) };
  }

  @Get()
  @Needs('operator.admin')
  async list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<SecretList> {
    const { rows, next } = await readPage(readQuery('GET /v1/secrets', query), BY_SECRET, {
      read: (page) => this.secrets.list(caller.tenantId, page),
      placeOf: ({ key }) => key,
    });
    return { secrets: rows.map(viewOf), ...next };
  }

  @Get(':key')
  @Needs('operator.admin')
  async show(@Caller() caller: Principal, @Param('key') key: string): Promise<SecretResult> {
    const found = await this.secrets.find(caller.tenantId, secretKeyParam(key));
    if (!found) throw notFound('secret');
    return { secret: viewOf(found) };
  }

  @Post(':key/rotate')
  @HttpCode(200)
  @Needs('operator.admin')
  async rotate(
    @Caller() caller: Principal,
    @Param('key') name: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SecretResult> {
    const key = secretKeyParam(name);
    const { value } = validatePayload(SecretRotateBody, body, 'body');
    const payload = { key, value: digestOf(request, value) };
    const route = { route: 'POST /v1/secrets/:key/rotate', payload, newKey: randomUUID };
    const ref = { tenantId: caller.tenantId, key, actor: actorOf(caller) };
    const work = this.once.run(idempotencyKey(request, caller, route), async (tx) => {
      const renewed = await this.secrets.renewIn(tx, ref, value);
      if (!renewed) throw notFound('secret');
      return viewOf(renewed);
    });
    return { secret: answerOf(response, await work.catch(sayWhatIsMissing)) };
  }

  /** Steps that name it fail from now on; those that have its value already go on. */
  @Delete(':key')
  @HttpCode(204)
  @Needs('operator.admin')
  async remove(@Caller() caller: Principal, @Param('key') key: string): Promise<void> {
    const ref = { tenantId: caller.tenantId, key: secretKeyParam(key), actor: actorOf(caller) };
    if (!(await this.secrets.remove(ref))) throw notFound('secret');
  }
}

/**
 * What stands for the value in the request's fingerprint, which is stored: a bare hash could be guessed at. This one cannot without
 * the caller's token, of which we keep no more than a hash.
 */
function digestOf(request: Request, value: string): string {
  return createHmac('sha256', tokenOf(request)).update('tyrum secret\0').update(value).digest('base64url');
}

/** As of webhooks: what is not set up here is not found. */
function sayWhatIsMissing(error: unknown): never {
  throw error instanceof NoKeysError ? new WireError('not_found', error.message) : error;
}

function viewOf({ key, description, hosts, version, created_at, updated_at }: SecretRecord): SecretView {
  return {
    key,
    handle: `secret:${key}`,
    ...(description === null ? {} : { description }),
    ...(hosts === null ? {} : { hosts: [...hosts] }),
    version,
    created_at: new Date(created_at).toISOString(),
    updated_at: new Date(updated_at).toISOString(),
  };
}
