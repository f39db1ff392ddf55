import { Controller, Get, Inject, Optional, Param, StreamableFile, UseGuards } from '@nestjs/common';
import type { Principal } from '@tyrum/identity';
import { WireError } from '@tyrum/protocol';
import { notFound } from '../failures';
import { ARTIFACTS_PORT, type ArtifactsPort } from '../ports';
import { uuidParam } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

@Controller('v1/artifacts')
@UseGuards(ScopeGuard)
export class ArtifactsController {
  constructor(@Optional() @Inject(ARTIFACTS_PORT) private readonly artifacts?: ArtifactsPort) {}

  /** The artifact's bytes, always as a download: a screenshot's page must not run as a page of ours. */
  @Get(':id')
  @Needs('operator.read')
  async get(@Caller() caller: Principal, @Param('id') id: string): Promise<StreamableFile> {
    if (!this.artifacts) throw new WireError('not_found', 'artifacts are not served by this gateway');
    const found = await this.artifacts.open(caller.tenantId, uuidParam(id));
    if (!found) throw notFound('artifact');
    const { artifact, bytes } = found;
    return new StreamableFile(bytes, {
      type: artifact.mime_type ?? 'application/octet-stream',
      disposition: `attachment; filename*=UTF-8''${encodeURIComponent(artifact.filename)}`,
      ...(artifact.size_bytes === undefined ? {} : { length: artifact.size_bytes }),
    });
  }
}
