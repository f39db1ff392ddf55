import { randomUUID } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import {
  ContractError,
  isJsonObject,
  PairingApprovePayload,
  PairingRefPayload,
  validatePayload,
  type NodeList,
  type Pairing,
  type PairingList,
  type PresenceList,
} from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { NodePairings } from '../operations/node-pairings';
import { answerOf, idempotencyKey } from './idempotency-key';
import { readQuery } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** Who may be a node, and who is there. */
@Controller('v1')
@UseGuards(ScopeGuard)
export class NodesController {
  constructor(private readonly nodes: NodePairings) {}

  /** `?status=awaiting_human`, newest first. */
  @Get('pairings')
  @Needs('operator.pairing')
  async list(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<PairingList> {
    return this.nodes.list(caller.tenantId, readQuery('GET /v1/pairings', query));
  }

  /** `pairing.approve`, without `pairing_id` in the body. */
  @Post('pairings/:pairing/approve')
  @HttpCode(200)
  @Needs('operator.pairing')
  async approve(
    @Caller() caller: Principal,
    @Param('pairing') id: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<{ pairing: Pairing }> {
    const payload = validatePayload(PairingApprovePayload, withId(body, id), 'body');
    const { pairing_id, reason, trust_level: trustLevel, capability_allowlist } = payload;
    const allowlist = capability_allowlist.map(({ id: capability, version }) => ({ id: capability, version }));
    const key = this.keyOf(request, caller, 'approve', payload);
    const done = await this.nodes.decide(key, pairing_id, { kind: 'approve', trustLevel, allowlist, reason });
    return answerOf(response, done);
  }

  @Post('pairings/:pairing/deny')
  @HttpCode(200)
  @Needs('operator.pairing')
  deny(
    @Caller() caller: Principal,
    @Param('pairing') id: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<{ pairing: Pairing }> {
    return this.turnAway('deny', { caller, request, response }, withId(body, id));
  }

  @Post('pairings/:pairing/revoke')
  @HttpCode(200)
  @Needs('operator.pairing')
  revoke(
    @Caller() caller: Principal,
    @Param('pairing') id: string,
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<{ pairing: Pairing }> {
    return this.turnAway('revoke', { caller, request, response }, withId(body, id));
  }

  /** The approved nodes, with whether they are connected and what they can do. */
  @Get('nodes')
  @Needs('operator.read')
  all(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<NodeList> {
    return this.nodes.nodes(caller.tenantId, readQuery('GET /v1/nodes', query));
  }

  /** Who is connected to any edge. */
  @Get('presence')
  @Needs('operator.read')
  presence(@Caller() caller: Principal, @Query() query: Record<string, unknown>): Promise<PresenceList> {
    return this.nodes.presence(caller.tenantId, readQuery('GET /v1/presence', query));
  }

  private async turnAway(
    kind: 'deny' | 'revoke',
    { caller, request, response }: { caller: Principal; request: Request; response: Response },
    body: unknown,
  ): Promise<{ pairing: Pairing }> {
    const payload = validatePayload(PairingRefPayload, body, 'body');
    const key = this.keyOf(request, caller, kind, payload);
    return answerOf(response, await this.nodes.decide(key, payload.pairing_id, { kind, reason: payload.reason }));
  }

  private keyOf(request: Request, caller: Principal, verb: string, payload: object) {
    const route = `POST /v1/pairings/:pairing/${verb}`;
    return idempotencyKey(request, caller, { route, payload: { ...payload }, newKey: randomUUID });
  }
}

/** The pairing is named in the path. */
function withId(body: unknown, id: string): unknown {
  if (!/^[1-9]\d{0,15}$/.test(id)) throw ContractError.at('pairing', 'isInt', 'must be a whole number');
  if (body !== undefined && !isJsonObject(body)) throw ContractError.at('body', 'isObject', 'must be an object');
  return { ...body, pairing_id: Number(id) };
}
