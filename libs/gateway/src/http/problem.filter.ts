import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { StoredBytesExceededError } from '@tyrum/evidence';
import { QueueFullError } from '@tyrum/execution';
import type { Logger } from '@tyrum/platform';
import { PROBLEM_CONTENT_TYPE } from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { KeyReusedError, refusalOf, wireErrorOf } from '../failures';
import type { RefusalAudit } from '../limits/refusal-audit';
import { codeOf, HttpProblem, toProblem, type Problem } from './http-problem';
import { knownPrincipal } from './request-principal';

/** What writing to a peer that went away ends with. */
const LEFT: ReadonlySet<string> = new Set([
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
  'ECONNRESET',
  'EPIPE',
]);

/** Every error of every route as `application/problem+json`, those of the framework too. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly audit: RefusalAudit,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    // A peer that went away meanwhile, or an answer that has begun: there is nobody to tell.
    if (response.headersSent) {
      if (!LEFT.has((error as NodeJS.ErrnoException).code ?? '')) {
        this.logger.error({ err: error, path: request.path }, 'an answer broke off');
      }
      return void response.destroy();
    }
    this.noteRefusal(error, request);
    const problem = this.problemOf(error, request.path);
    response.status(problem.status);
    // What is left of the request will not be read.
    if (problem.status === 408 || problem.status === 413) response.setHeader('Connection', 'close');
    if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
    const retryAfterMs = (problem.details as { retry_after_ms?: number } | undefined)?.retry_after_ms;
    if (retryAfterMs !== undefined) response.setHeader('Retry-After', Math.max(1, Math.ceil(retryAfterMs / 1000)));
    response.setHeader('Content-Type', PROBLEM_CONTENT_TYPE);
    response.end(JSON.stringify(problem));
  }

  /** What stands before there is a principal has noted its own refusals, and knows better whose they are. */
  private noteRefusal(error: unknown, request: Request): void {
    const refusal = refusalOf(error);
    const principal = knownPrincipal(request);
    if (!refusal || !principal) return;
    const { tenantId, tokenId } = principal;
    const route = (request as { route?: { path?: unknown } }).route?.path;
    const subject = typeof route === 'string' ? { subject: `${request.method} ${route}` } : {};
    this.audit.note({ ...refusal, ...subject, tenantId, tokenId, door: 'http' });
  }

  private problemOf(error: unknown, instance: string): Problem {
    const status = statusOf(error);
    if (status !== undefined && status < 500) {
      const code = error instanceof HttpProblem ? error.code : codeOf(status);
      return toProblem({ code, message: (error as Error).message }, instance, status);
    }
    const body = wireErrorOf(error, (unexpected) =>
      this.logger.error({ err: unexpected, path: instance }, 'request failed'),
    );
    // The draft on Idempotency-Key asks for 422 where the key came with another payload.
    if (error instanceof KeyReusedError) return toProblem(body, instance, 422);
    // Insufficient Storage, "must not be repeated until it is requested by a separate user action" (RFC 4918, 11.5): 413 would
    // blame the one upload, and 429 would be tried again.
    if (error instanceof StoredBytesExceededError) return toProblem(body, instance, 507);
    // It is this caller's conversation that is full, not the edge: 429 and not 503.
    return toProblem(body, instance, error instanceof QueueFullError ? 429 : undefined);
  }
}

/** The status of our own HTTP problems, of Nest's exceptions and of express' parsers. */
function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  if (!(error instanceof Error) || !('status' in error)) return undefined;
  return typeof error.status === 'number' ? error.status : undefined;
}
