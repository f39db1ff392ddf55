import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { static as serveStatic, type Application, type Handler } from 'express';
import { notFound } from '../failures';
import { HttpProblem } from './http-problem';

/** Everything comes from the edge itself, nothing is inline, and nobody frames it. `data:` is the icon in the page's head. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');
const INDEX = 'index.html';
const YEAR_S = 365 * 24 * 60 * 60;

/**
 * Serves the console's files at `/ui/`. They are the same for everybody and hold no secret, so that no token is asked for: what the
 * page shows comes from `/v1`, with the session's cookie.
 * @param folder where they lie; what is missing there is answered 404, and the edge does without
 */
export function serveConsole(app: Pick<Application, 'get'>, folder: string): void {
  const files = serveStatic(folder, { index: INDEX, redirect: false, cacheControl: false, setHeaders: setCaching });
  const secured: Handler = (_request, response, next) => {
    response.setHeader('Content-Security-Policy', POLICY);
    response.setHeader('X-Frame-Options', 'DENY');
    response.setHeader('Referrer-Policy', 'no-referrer');
    next();
  };
  const missing: Handler = (_request, _response, next) => {
    const there = existsSync(join(folder, INDEX));
    next(there ? notFound('file of the console') : new HttpProblem(404, 'not_found', 'this edge has no console'));
  };
  // A slash more or less is the same route to express; relative addresses in the page are not the same.
  app.get('/ui', secured, (request, response, next) => {
    if (request.path.endsWith('/')) return next();
    response.redirect(308, '/ui/');
  });
  app.get('/ui{/*file}', secured, below('/ui', files), missing);
}

/**
 * The files' names change with their contents, but for the page that names them. Its tag is of its contents as well: it is of the
 * same length in every version, and images may give all their files one time.
 */
function setCaching(response: Parameters<Handler>[1], path: string): void {
  if (basename(path) !== INDEX) {
    response.setHeader('Cache-Control', `public, max-age=${YEAR_S}, immutable`);
    return;
  }
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('ETag', `"${createHash('sha256').update(readFileSync(path)).digest('base64url')}"`);
}

/** Hands a handler the address below a prefix, as a mounted one gets it; a route, unlike a mount, is told by the metrics. */
function below(prefix: string, handler: Handler): Handler {
  return (request, response, next) => {
    const { url } = request;
    request.url = url.slice(prefix.length) || '/';
    handler(request, response, (error?: unknown) => {
      request.url = url;
      next(error);
    });
  };
}
