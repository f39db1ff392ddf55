import { randomUUID } from 'node:crypto';
import { Controller, Get, Inject, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import { ArtifactStore, BlobMismatchError, BlobTooLargeError } from '@tyrum/evidence';
import type { Principal } from '@tyrum/identity';
import { CONFIG, type Config } from '@tyrum/platform';
import { ContractError, LIMITS, type ArtifactList, type ArtifactRef } from '@tyrum/protocol';
import type { Request, Response } from 'express';
import type { GatewayOptions } from '../gateway.module';
import { GATEWAY_OPTIONS } from '../gateway-options';
import { ArtifactDesk } from '../operations/artifact-desk';
import { sendArtifact } from './artifact-download';
import { declaredSha256 } from './digest-fields';
import { HttpProblem } from './http-problem';
import { answerOf, idempotencyKey } from './idempotency-key';
import { readQuery, uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';
import { arriving, mediaTypeOf } from './streamed-body';

/** Artifacts up and down. Their bytes pass through: none is held whole in memory. */
@Controller('v1')
@UseGuards(ScopeGuard)
export class ArtifactsController {
  private readonly stallMs: number;

  constructor(
    private readonly desk: ArtifactDesk,
    private readonly artifacts: ArtifactStore,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(GATEWAY_OPTIONS) options: GatewayOptions,
  ) {
    this.stallMs = options.artifactStallMs ?? LIMITS.artifactStallMs;
  }

  /** Keeps the body as an artifact: `?filename=&kind=&label=&turn_id=`. */
  @Post('artifacts')
  @Needs('operator.write')
  async upload(
    @Caller() caller: Principal,
    @Query() query: Record<string, unknown>,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ArtifactRef> {
    try {
      const { turn_id: turnId, ...about } = readQuery('POST /v1/artifacts', query);
      const { mimeType, ...expected } = this.expectationsOf(request);
      const route = {
        route: 'POST /v1/artifacts',
        payload: [about, turnId ?? null, mimeType ?? null],
        newKey: randomUUID,
      };
      const key = idempotencyKey(request, caller, route);
      const artifact = {
        tenantId: caller.tenantId,
        uploadedBy: caller.tokenId,
        ...about,
        ...(turnId === undefined ? {} : { turnId }),
        ...(mimeType === undefined ? {} : { mimeType }),
      };
      return answerOf(response, await this.desk.upload(key, artifact, arriving(request, this.stallMs), expected));
    } catch (error) {
      // The rest of the body is not worth reading to the end.
      if (!request.readableEnded) response.setHeader('Connection', 'close');
      throw problemOf(error);
    }
  }

  /** What an artifact is, without its bytes. */
  @Get('artifacts/:id')
  @Needs('operator.read')
  get(@Caller() caller: Principal, @Param('id') id: string): Promise<ArtifactRef> {
    return this.desk.find(caller, uuidParam(id));
  }

  /** The artifact's bytes, for HEAD too. */
  @Get('artifacts/:id/content')
  @Needs('operator.read')
  async content(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const artifact = await this.desk.find(caller, uuidParam(id));
    const open = (range: Parameters<ArtifactStore['openBytes']>[2]) =>
      this.artifacts.openBytes(caller.tenantId, artifact, range);
    await sendArtifact(request, response, artifact, { stallMs: this.stallMs, open });
  }

  /** The newest artifacts of a turn, oldest first; the next page is of older ones. */
  @Get('turns/:id/artifacts')
  @Needs('operator.read')
  async list(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
  ): Promise<ArtifactList> {
    const page = readQuery('GET /v1/turns/:id/artifacts', query);
    return this.desk.listByTurn(caller.tenantId, uuidParam(id), page);
  }

  /** What the headers say of the body. @throws {HttpProblem} 413, 415 @throws {ContractError} */
  private expectationsOf(request: Request) {
    const maxBytes = this.config.artifactMaxBytes;
    if (request.headers['content-encoding'] !== undefined) {
      throw new HttpProblem(415, 'invalid_request', 'send it uncompressed');
    }
    const size = Number(request.headers['content-length'] ?? 0);
    if (size > maxBytes) throw problemOf(new BlobTooLargeError(maxBytes));
    const sha256 = declaredSha256(request);
    return { maxBytes, size, mimeType: mediaTypeOf(request), ...(sha256 === undefined ? {} : { sha256 }) };
  }
}

/** What of the blob store is the caller's doing. */
function problemOf(error: unknown): unknown {
  if (error instanceof BlobTooLargeError) return new HttpProblem(413, 'invalid_request', error.message);
  if (error instanceof BlobMismatchError) return ContractError.at('Content-Digest', 'digest', error.message);
  return error;
}
