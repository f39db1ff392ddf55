import { Readable } from 'node:stream';
import { Controller, Get, Query, StreamableFile, UseGuards } from '@nestjs/common';
import { AuditBrokenError, AuditLog, type AuditLine } from '@tyrum/evidence';
import type { Principal } from '@tyrum/identity';
import { ContractError, WireError, type AuditListResult, type AuditSeal } from '@tyrum/protocol';
import { begun } from './artifact-download';
import { readQuery } from './query';
import { Caller, Needs, ScopeGuard } from './request-principal';

/** What was done in the caller's tenant, by whom, and what the deployment vouches for. */
@Controller('v1/audit')
@UseGuards(ScopeGuard)
export class AuditController {
  constructor(private readonly log: AuditLog) {}

  /** `?type=&actor=&subject=&limit=&cursor=`, newest first. */
  @Get()
  @Needs('operator.admin')
  async list(@Caller() { tenantId }: Principal, @Query() query: Record<string, unknown>): Promise<AuditListResult> {
    const { cursor, limit, ...filters } = readQuery('GET /v1/audit', query);
    const before = cursor === undefined ? {} : { before: placeOf(cursor) };
    const found = await this.log.list(tenantId, { ...filters, ...before, limit: limit + 1 });
    const entries = found.slice(0, limit);
    const last = found.length > limit ? entries.at(-1) : undefined;
    return { entries, ...(last ? { next_cursor: cursorOf(last.seq) } : {}) };
  }

  /** The end of the chain, signed now. 409 when what came since the last signature was altered. */
  @Get('head')
  @Needs('operator.admin')
  async head(@Caller() { tenantId }: Principal): Promise<AuditSeal> {
    try {
      return await this.log.head(tenantId);
    } catch (error) {
      if (error instanceof AuditBrokenError) throw new WireError('conflict', error.message);
      throw error;
    }
  }

  /**
   * All of it, a line of JSON each: a checkpoint where retention deleted what came before, the entries, the signed head. What goes
   * wrong before the first is a problem like any other; Nest would answer 400 for whatever breaks a stream.
   */
  @Get('export')
  @Needs('operator.admin')
  async export(@Caller() { tenantId }: Principal): Promise<StreamableFile> {
    const lines = Readable.from(linesOf(this.log.export(tenantId)));
    await begun(lines);
    return new StreamableFile(lines, { type: 'application/x-ndjson' });
  }
}

async function* linesOf(lines: AsyncIterable<AuditLine>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`;
}

function cursorOf(seq: number): string {
  return Buffer.from(String(seq)).toString('base64url');
}

function placeOf(cursor: string): number {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (/^[1-9]\d{0,15}$/.test(text)) return Number(text);
  throw ContractError.at('query.cursor', 'cursor', 'is not a cursor of this list');
}
