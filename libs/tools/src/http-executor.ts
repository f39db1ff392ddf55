import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { ArtifactStore } from '@tyrum/evidence';
import type { StepContext, StepExecutor, StepOutcome, StepRequest } from '@tyrum/execution';
import { mapHandles, resolveHeader, type Action, type JsonValue, type StepResult } from '@tyrum/protocol';
import { AddressRefusedError, guardedLookup, refusePrivateHost } from './address-guard';
import { keepOutput } from './kept-output';
import type { OpenedSecrets, StepSecrets } from './step-secrets';

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;
const INLINE_BYTES = 64 * 1024;
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const RETRYABLE = new Set([408, 425, 429, 500, 502, 503, 504]);
/** They are for the first origin only. */
const CREDENTIALS = ['authorization', 'cookie', 'proxy-authorization', 'idempotency-key', 'tyrum-fencing-token'];

/** What Node sends in a header. */
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;

interface HttpArgs {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeout_ms?: number;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly truncated: boolean;
}

/** Something went wrong on the way. `sent`: the receiver may have acted on the request. */
class HttpFailure extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly sent: boolean,
  ) {
    super(message);
    this.name = 'HttpFailure';
  }
}

/** Runs `Http` steps. Receivers get the step's idempotency key and the lease's token, so that they can refuse both doubles and stale workers. */
export class HttpExecutor implements StepExecutor {
  constructor(
    private readonly artifacts: ArtifactStore,
    /** Hosts that may be in a private network. */
    private readonly allowedHosts: ReadonlySet<string>,
    private readonly secrets: StepSecrets,
  ) {}

  handles(action: Action): boolean {
    return action.type === 'Http';
  }

  async execute(request: StepRequest, { signal }: StepContext): Promise<StepOutcome> {
    if (signal.aborted) return { kind: 'interrupted' };
    const opened = await this.secrets.open(request);
    if ('kind' in opened) return opened;
    const { redactor } = opened;
    try {
      const { body, headers, ...answer } = await this.follow(request, opened, signal);
      const shown = { ...answer, headers: redactor.json(headers), body: redactor.bytes(body) };
      return await this.toOutcome(request, shown);
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error;
      return redactor.json(failed(request, error, signal));
    }
  }

  private async follow(request: StepRequest, { values }: OpenedSecrets, signal: AbortSignal): Promise<Answer> {
    const args = withSecrets(request.action.args as unknown as HttpArgs, values);
    let url = new URL(args.url);
    let method = args.method.toUpperCase();
    let body = bodyOf(args.body);
    let headers = headersOf(args, body, request);
    const credentials = [...CREDENTIALS, ...args.secretHeaders];
    for (let hop = 0; ; hop += 1) {
      const timeoutMs = args.timeout_ms ?? DEFAULT_TIMEOUT_MS;
      const sending = this.send({ url, method, headers, body, timeoutMs, signal });
      const answer = hop === 0 ? await sending : await afterRedirect(sending);
      const location = answer.headers.location;
      if (answer.status < 300 || answer.status > 399 || !location) return answer;
      if (hop === MAX_REDIRECTS)
        throw new HttpFailure('too_many_redirects', `more than ${MAX_REDIRECTS} redirects`, true);
      const next = redirectTarget(location, url);
      if (next.origin !== url.origin) headers = without(headers, credentials);
      const drops = becomesGet(answer.status, method);
      // Nobody else's business: the answer is that it is elsewhere.
      if (next.origin !== url.origin && args.secretBody && body && !drops) return answer;
      if (drops) {
        method = 'GET';
        body = undefined;
        headers = without(headers, ['content-type', 'content-length']);
      }
      url = next;
    }
  }

  private send(options: {
    url: URL;
    method: string;
    headers: Record<string, string>;
    body: Buffer | undefined;
    timeoutMs: number;
    signal: AbortSignal;
  }): Promise<Answer> {
    const { url, method, headers, body, timeoutMs, signal } = options;
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new HttpFailure('invalid_url', `${url.protocol} is not http: or https:`, false);
    }
    return new Promise((resolve, reject) => {
      let sent = false;
      const fail = (error: Error) => {
        const code =
          error instanceof AddressRefusedError
            ? error.code
            : ((error as NodeJS.ErrnoException).code ?? 'network_error');
        reject(new HttpFailure(code, error.message, sent));
      };
      try {
        refusePrivateHost(url, this.allowedHosts);
      } catch (error) {
        return fail(error as Error);
      }
      const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const outgoing = start(url, { method, headers, lookup: guardedLookup(this.allowedHosts), signal });
      const timer = setTimeout(
        () => outgoing.destroy(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'timeout' })),
        timeoutMs,
      );
      outgoing.once('close', () => clearTimeout(timer));
      // From the connection on: part of a request may be enough for the receiver to act on it.
      outgoing.once('socket', (socket) => {
        if (!socket.connecting) sent = true;
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => (sent = true));
      });
      outgoing.once('error', fail);
      outgoing.once(
        'response',
        (incoming) =>
          void readBody(incoming).then(
            (read) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, ...read }),
            fail,
          ),
      );
      outgoing.end(body);
    });
  }

  private async toOutcome(request: StepRequest, answer: Answer): Promise<StepOutcome> {
    const result = await this.toResult(request, answer);
    if (answer.status < 400) return { kind: 'succeeded', result };
    const retryable = RETRYABLE.has(answer.status) && request.effect !== 'once';
    const retryAfterMs = retryAfter(answer.headers['retry-after']);
    const error = { code: `http_${answer.status}`, message: `answered ${answer.status}` };
    return { kind: 'failed', error, result, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }

  private async toResult(request: StepRequest, { status, headers, body, truncated }: Answer): Promise<StepResult> {
    const shown = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'set-cookie'));
    const plain = {
      status,
      headers: shown as Record<string, JsonValue>,
      truncated: truncated || body.length > INLINE_BYTES,
    };
    const output = body.subarray(0, INLINE_BYTES).toString('utf8').replaceAll('\u0000', '');
    if (body.length <= INLINE_BYTES) return { ...plain, output };
    const { tenantId, turnId, stepIndex } = request;
    const mimeType = headers['content-type']?.split(';')[0];
    const about = { tenantId, turnId, stepIndex, kind: 'file', filename: `step-${stepIndex}.body` } as const;
    const kept = await keepOutput(this.artifacts, { ...about, ...(mimeType ? { mimeType } : {}) }, () => body);
    return { ...plain, output, ...kept };
  }
}

/** Who redirected may have acted on the request, wherever following it fails. */
async function afterRedirect(sending: Promise<Answer>): Promise<Answer> {
  try {
    return await sending;
  } catch (error) {
    throw error instanceof HttpFailure ? new HttpFailure(error.code, error.message, true) : error;
  }
}

/** A redirect nobody can follow is an answer like any other; the request itself has been acted on. */
function redirectTarget(location: string, base: URL): URL {
  if (!URL.canParse(location, base.href))
    throw new HttpFailure('invalid_redirect', 'redirected to what is no URL', true);
  return new URL(location, base);
}

/** As browsers do (the Fetch standard). A DELETE that turned into a GET would look as if it had deleted something. */
function becomesGet(status: number, method: string): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD';
  return (status === 301 || status === 302) && method === 'POST';
}

function failed(request: StepRequest, { code, message, sent }: HttpFailure, signal: AbortSignal): StepOutcome {
  if (sent && request.effect === 'once' && signal.reason !== 'cancelled') {
    return { kind: 'unknown', detail: `the request was sent, then: ${message}` };
  }
  if (signal.aborted) return { kind: 'interrupted' };
  const permanent = [
    'address_refused',
    'invalid_url',
    'invalid_header',
    'invalid_redirect',
    'too_many_redirects',
    'ENOTFOUND',
  ].includes(code);
  return { kind: 'failed', error: { code, message }, retryable: !permanent };
}

/** The arguments with their handles resolved, and where something secret is now. */
function withSecrets(
  args: HttpArgs,
  values: ReadonlyMap<string, string>,
): HttpArgs & { readonly secretHeaders: readonly string[]; readonly secretBody: boolean } {
  if (values.size === 0) return { ...args, secretHeaders: [], secretBody: false };
  const secretHeaders: string[] = [];
  const headers = Object.entries(args.headers ?? {}).map(([name, value]): [string, string] => {
    const resolved = resolveHeader(value, values);
    if (resolved !== value) secretHeaders.push(name.toLowerCase());
    if (!HEADER_TEXT.test(resolved))
      throw new HttpFailure('invalid_header', `${name}: not what a header may hold`, false);
    return [name, resolved];
  });
  let secretBody = false;
  const body = mapHandles((args.body ?? null) as JsonValue, (key) => {
    const value = values.get(key);
    secretBody ||= value !== undefined;
    return value ?? `secret:${key}`;
  });
  return { ...args, headers: Object.fromEntries(headers), body, secretHeaders, secretBody };
}

function headersOf(args: HttpArgs, body: Buffer | undefined, request: StepRequest): Record<string, string> {
  const given = Object.fromEntries(
    Object.entries(args.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return {
    ...(body && typeof args.body === 'object' ? { 'content-type': 'application/json' } : {}),
    ...(body ? { 'content-length': String(body.length) } : {}),
    'user-agent': 'tyrum',
    'accept-encoding': 'identity',
    'idempotency-key': request.idempotencyKey,
    ...given,
    'tyrum-fencing-token': String(request.fencingToken),
  };
}

function bodyOf(body: unknown): Buffer | undefined {
  if (body === undefined || body === null) return undefined;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function without(headers: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

async function readBody(incoming: IncomingMessage): Promise<{ body: Buffer; truncated: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    chunks.push(chunk);
    if (size <= MAX_BODY_BYTES) continue;
    incoming.destroy();
    return { body: Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES), truncated: true };
  }
  return { body: Buffer.concat(chunks), truncated: false };
}

/** `Retry-After`: seconds or a date (RFC 9110, 10.2.3). */
function retryAfter(header: string | undefined): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
