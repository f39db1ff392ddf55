import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ByteRange } from '@tyrum/evidence';
import type { ArtifactRef } from '@tyrum/protocol';
import contentDisposition from 'content-disposition';
import type { Request, Response } from 'express';
import parseRange from 'range-parser';
import { digestField } from './digest-fields';
import { HttpProblem } from './http-problem';

/** What a browser is told a download is; of everything else it hears that it is bytes. No document that could run is in here. */
const TOLD =
  /^(image\/(png|jpeg|gif|webp|avif|bmp)|(audio|video)\/[a-z0-9.+-]+|text\/(plain|csv)|application\/(json|pdf|zip))$/;

/** What is sent of an artifact. */
type Selection = { readonly kind: 'whole' } | { readonly kind: 'part'; readonly start: number; readonly end: number };

export interface DownloadOptions {
  /** A reader that takes nothing for so long is cut off: it would hold a file open for nothing. */
  readonly stallMs: number;
  readonly open: (range: ByteRange | undefined) => Promise<{ readonly stream: Readable }>;
}

/**
 * Answers a GET or HEAD for an artifact's bytes, as RFC 9110 wants it: conditions first, then the range. Several ranges that
 * do not touch are answered with the whole, which the RFC allows: nobody multiplies what we send by asking for it in pieces.
 * @throws {HttpProblem} 412, 416 @throws {BlobCorruptError} {BlobMissingError} before anything was sent
 */
export async function sendArtifact(
  request: Request,
  response: Response,
  artifact: ArtifactRef,
  { stallMs, open }: DownloadOptions,
): Promise<void> {
  describe(response, artifact);
  try {
    await answer(request, response, artifact.size_bytes ?? 0, { stallMs, open });
  } catch (error) {
    // An error is no artifact: what was said of it does not hold.
    if (!response.headersSent) for (const name of DESCRIBING) response.removeHeader(name);
    throw error;
  }
}

async function answer(
  request: Request,
  response: Response,
  size: number,
  { stallMs, open }: DownloadOptions,
): Promise<void> {
  requireConditions(request, response);
  if (isKnown(request, response)) return void response.status(304).end();
  const selected = selectionOf(request, response, size);
  const { start, end } = selected.kind === 'part' ? selected : { start: 0, end: size - 1 };
  if (selected.kind === 'part') response.status(206).setHeader('Content-Range', `bytes ${start}-${end}/${size}`);
  response.setHeader('Content-Length', end - start + 1);
  if (request.method === 'HEAD') return void response.end();
  // A range over everything is read as a whole, so that it is checked.
  const { stream } = await open(end - start + 1 === size ? undefined : { start, end });
  await send(stream, response, stallMs);
}

const DESCRIBING = ['Content-Length', 'Content-Disposition', 'ETag', 'Last-Modified', 'Repr-Digest', 'Accept-Ranges'];

function describe(response: Response, artifact: ArtifactRef): void {
  const { sha256 = '', mime_type: type = '' } = artifact;
  response.setHeader('Content-Type', TOLD.test(type) ? type : 'application/octet-stream');
  // Always a download: what somebody uploaded must not run as a page of ours.
  response.setHeader('Content-Disposition', contentDisposition(artifact.filename, { type: 'attachment' }));
  response.setHeader('Content-Security-Policy', "default-src 'none'; sandbox");
  response.setHeader('X-Content-Type-Options', 'nosniff');
  // The bytes never change; who may read them can.
  response.setHeader('Cache-Control', 'private, no-cache');
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('ETag', `"${sha256}"`);
  response.setHeader('Last-Modified', new Date(artifact.created_at).toUTCString());
  response.setHeader('Repr-Digest', digestField(sha256));
}

/** `If-Match` and `If-Unmodified-Since`. @throws {HttpProblem} 412 */
function requireConditions(request: Request, response: Response): void {
  const match = request.get('If-Match');
  const since = Date.parse(request.get('If-Unmodified-Since') ?? '');
  const isMet =
    match !== undefined
      ? match.trim() === '*' || match.split(',').some((tag) => tag.trim() === response.getHeader('ETag'))
      : !(Date.parse(String(response.getHeader('Last-Modified'))) > since);
  if (!isMet) throw new HttpProblem(412, 'invalid_request', 'the artifact is not the one this condition names');
}

/**
 * `If-None-Match` and `If-Modified-Since`. Whether the request wants caches asked (`Cache-Control: no-cache`, which fetch adds to
 * every conditional request) is no matter of ours: this is the origin.
 */
function isKnown(request: Request, response: Response): boolean {
  const known = request.get('If-None-Match');
  if (known !== undefined) {
    const tags = known.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
    return tags.includes('*') || tags.includes(String(response.getHeader('ETag')));
  }
  const since = Date.parse(request.get('If-Modified-Since') ?? '');
  return Date.parse(String(response.getHeader('Last-Modified'))) <= since;
}

/** @throws {HttpProblem} 416 */
function selectionOf(request: Request, response: Response, size: number): Selection {
  const header = request.get('Range');
  if (header === undefined || request.method !== 'GET' || !rangeStillApplies(request, response))
    return { kind: 'whole' };
  // The last 99 of 10 bytes are all 10, says the RFC; the parser would call that unsatisfiable.
  const satisfiable = header.replace(/([=,]\s*)-(\d+)/g, (suffix: string, lead: string, length: string) =>
    Number(length) > size ? `${lead}-${size}` : suffix,
  );
  const ranges = parseRange(size, satisfiable, { combine: true });
  if (ranges === -1) {
    response.setHeader('Content-Range', `bytes */${size}`);
    throw new HttpProblem(416, 'invalid_request', `the artifact has ${size} bytes`);
  }
  const [range] = ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1 ? [] : ranges;
  return range ? { kind: 'part', ...range } : { kind: 'whole' };
}

/** `If-Range`: a tag has to be the same, a time not before the last change. */
function rangeStillApplies(request: Request, response: Response): boolean {
  const validator = request.get('If-Range');
  if (validator === undefined) return true;
  if (validator.includes('"')) return validator.trim() === response.getHeader('ETag');
  return Date.parse(String(response.getHeader('Last-Modified'))) <= Date.parse(validator);
}

/**
 * Sends as fast as the reader takes it, and closes the file when it leaves. What goes wrong before the first byte is an error
 * like any other; later the connection is broken, before the last byte, so that nobody takes what came for the whole.
 */
async function send(stream: Readable, response: Response, stallMs: number): Promise<void> {
  const left = (): void => void stream.destroy();
  response.once('close', left);
  if (response.destroyed) left();
  await begun(stream);
  response.setTimeout(stallMs, () => response.destroy());
  try {
    await pipeline(stream, response);
  } finally {
    response.off('close', left);
  }
}

/** Resolves when there is something to read, or nothing will be; rejects when reading fails. */
export function begun(stream: Readable): Promise<void> {
  return new Promise((resolve, reject) =>
    stream.once('readable', resolve).once('close', resolve).once('error', reject),
  );
}
