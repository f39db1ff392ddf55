import type { NextFunction, Request, Response } from 'express';
import { DEFAULT_TENANT_ID, WireError } from '@tyrum/protocol';
import { HttpProblem } from '../http/http-problem';
import type { RefusalAudit } from '../limits/refusal-audit';

/**
 * Lets POSTs through. There is no stream to open by GET and no session to end by DELETE; 405 is how the protocol wants that
 * said.
 */
export function onlyPosts() {
  return (request: Request, response: Response, next: NextFunction): void => {
    if (request.method === 'POST') return next();
    response.setHeader('Allow', 'POST');
    next(new HttpProblem(405, 'invalid_request', 'only POST is answered here'));
  };
}

/**
 * Refuses pages of origins that are not allowed, whatever they come with: a page that made its name point to this machine
 * (DNS rebinding) sends its own name. Other clients than browsers send none.
 */
export function knownOrigin(allowedOrigins: ReadonlySet<string>, audit: RefusalAudit) {
  return ({ headers: { origin } }: Request, _response: Response, next: NextFunction): void => {
    if (origin === undefined || allowedOrigins.has(origin)) return next();
    audit.note({ type: 'auth.failed', tenantId: DEFAULT_TENANT_ID, door: 'mcp', reason: 'origin' });
    next(new WireError('forbidden', 'this origin is not allowed here'));
  };
}
