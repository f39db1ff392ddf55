import type {
  Schedule,
  ScheduleCreateBody,
  TokenCreateBody,
  TokenCreated,
  TurnDetail,
  TurnListResult,
  TurnResolveBody,
  TurnStatus,
  WorkflowStartPayload,
  WorkflowStartResult,
} from '@tyrum/protocol';
import { DEVICE_PROOF_HEADER, encodeBase64Url, formatHttpProof, httpProofText, parseToken } from '@tyrum/protocol';
import { Backoff } from './backoff';
import { pause, runtimeClock, type Clock } from './clock';
import type { DeviceIdentity } from './device-identity';
import { ProblemError, UnreachableError } from './problem-error';

export interface TyrumHttpOptions {
  /** `http://host:port`, without a path. */
  readonly url: string;
  readonly token: string;
  /** The device a device-bound token belongs to: it signs every request. */
  readonly identity?: DeviceIdentity;
  readonly fetch?: typeof fetch;
  /** Tries of a request that may be repeated, the first included; 4 when absent. */
  readonly attempts?: number;
  /** For one try, in ms; 15 s when absent. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly newId?: () => string;
}

/** What `/readyz` answers. */
export interface Readiness {
  readonly status: 'ready' | 'not_ready';
  readonly checks: readonly { name: string; ok: boolean; error?: string; latency_ms: number }[];
}

export type TokenView = Omit<TokenCreated, 'token'> & { readonly revoked_at: string | null };

interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  /** Makes a POST repeatable. */
  readonly idempotencyKey?: string;
  /** Statuses that are answers here, besides the 2xx. */
  readonly accept?: readonly number[];
}

const RETRY_BACKOFF = { baseMs: 200, maxMs: 2_000 };
const MAX_RETRY_AFTER_MS = 10_000;

/**
 * The gateway over HTTP. What may be repeated without harm (reads, deletions, keyed posts) is repeated when nothing
 * answers, the answer is 503, or a copy is under way; everything else only when it is certain that it did not arrive.
 * Every method throws {ProblemError} for an error answer and {UnreachableError} when there is none.
 */
export class TyrumHttp {
  private readonly clock: Clock;
  private readonly newId: () => string;

  constructor(private readonly options: TyrumHttpOptions) {
    this.clock = options.clock ?? runtimeClock;
    this.newId = options.newId ?? (() => globalThis.crypto.randomUUID());
  }

  /** Whether the gateway serves, and what is wrong if not. */
  readiness(): Promise<Readiness> {
    return this.call({ method: 'GET', path: '/readyz', accept: [503] });
  }

  /** Accepts a workflow. With the same key and payload it is the same workflow, however often it is called. */
  startWorkflow(payload: WorkflowStartPayload, idempotencyKey: string = this.newId()): Promise<WorkflowStartResult> {
    return this.call({ method: 'POST', path: '/v1/workflows', body: payload, idempotencyKey });
  }

  /** Newest first. With the answer's `next_cursor` as `cursor`: what comes after. */
  listTurns(
    filter: { readonly statuses?: readonly TurnStatus[]; readonly limit?: number; readonly cursor?: string } = {},
  ): Promise<TurnListResult> {
    const query = new URLSearchParams();
    if (filter.statuses?.length) query.set('status', filter.statuses.join(','));
    if (filter.limit !== undefined) query.set('limit', String(filter.limit));
    if (filter.cursor !== undefined) query.set('cursor', filter.cursor);
    return this.call({ method: 'GET', path: `/v1/turns${query.size > 0 ? `?${query}` : ''}` });
  }

  getTurn(turnId: string): Promise<TurnDetail> {
    return this.call({ method: 'GET', path: `/v1/turns/${encodeURIComponent(turnId)}` });
  }

  /** `cancelled` is false when the turn had ended before. */
  cancelTurn(turnId: string, reason?: string): Promise<{ turn_id: string; cancelled: boolean }> {
    const body = reason === undefined ? {} : { reason };
    const path = `/v1/turns/${encodeURIComponent(turnId)}/cancel`;
    return this.call({ method: 'POST', path, body, idempotencyKey: this.newId() });
  }

  /** Decides about a step whose outcome is unknown. */
  resolveTurn(turnId: string, decision: TurnResolveBody): Promise<{ turn_id: string; decision: string }> {
    const path = `/v1/turns/${encodeURIComponent(turnId)}/resolve`;
    return this.call({ method: 'POST', path, body: decision, idempotencyKey: this.newId() });
  }

  createSchedule(body: Omit<ScheduleCreateBody, 'enabled'> & { enabled?: boolean }): Promise<Schedule> {
    return this.call({ method: 'POST', path: '/v1/schedules', body });
  }

  async listSchedules(): Promise<Schedule[]> {
    return (await this.call<{ schedules: Schedule[] }>({ method: 'GET', path: '/v1/schedules' })).schedules;
  }

  async deleteSchedule(scheduleId: string): Promise<void> {
    await this.call({ method: 'DELETE', path: `/v1/schedules/${encodeURIComponent(scheduleId)}` });
  }

  /** The answer is the only place where the token itself is ever shown. */
  createToken(body: TokenCreateBody): Promise<TokenCreated> {
    return this.call({ method: 'POST', path: '/v1/tokens', body });
  }

  /** Newest first: all of them, page by page. */
  async listTokens(): Promise<TokenView[]> {
    const tokens: TokenView[] = [];
    let query = '';
    do {
      const page = await this.call<{ tokens: TokenView[]; next_cursor?: string }>({
        method: 'GET',
        path: `/v1/tokens${query}`,
      });
      tokens.push(...page.tokens);
      query = page.next_cursor === undefined ? '' : `?cursor=${page.next_cursor}`;
    } while (query !== '');
    return tokens;
  }

  async revokeToken(tokenId: string): Promise<void> {
    await this.call({ method: 'DELETE', path: `/v1/tokens/${encodeURIComponent(tokenId)}` });
  }

  private async call<T>(call: Call): Promise<T> {
    const attempts = this.options.attempts ?? 4;
    const backoff = new Backoff(RETRY_BACKOFF, this.options.random ?? Math.random);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await this.send(call);
        if (response.ok || call.accept?.includes(response.status)) return await read<T>(response);
        const problem = await ProblemError.from(response);
        if (attempt >= attempts || !isAskedAgain(response) || !isRepeatable(call)) throw problem;
        await pause(this.clock, retryAfterMs(response) ?? backoff.next());
      } catch (error) {
        const again = error instanceof UnreachableError && (isRepeatable(call) || !error.mayHaveArrived);
        if (attempt >= attempts || !again) throw error;
        await pause(this.clock, backoff.next());
      }
    }
  }

  private async send({ method, path, body, idempotencyKey }: Call): Promise<Response> {
    const { url, token } = this.options;
    try {
      return await (this.options.fetch ?? fetch)(new URL(path, url), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(await this.proofFor(method, path)),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(this.options.timeoutMs ?? 15_000),
      });
    } catch (error) {
      throw new UnreachableError(url, !wasRefused(error), error);
    }
  }

  /** Made anew for each try: a proof is good once. */
  private async proofFor(method: string, path: string): Promise<Record<string, string>> {
    const { identity, token } = this.options;
    if (!identity) return {};
    const nonce = encodeBase64Url(globalThis.crypto.getRandomValues(new Uint8Array(16)));
    const facts = { method, path, tokenId: parseToken(token)?.id ?? '', issuedAtMs: Date.now(), nonce };
    const signature = encodeBase64Url(await identity.sign(httpProofText(facts)));
    const { issuedAtMs } = facts;
    return { [DEVICE_PROOF_HEADER]: formatHttpProof({ pubkey: identity.pubkey, issuedAtMs, nonce, signature }) };
  }
}

/** The gateway could not take it now, or an earlier copy of it is still being carried out (a 409 that says when to ask again). */
function isAskedAgain({ status, headers }: Response): boolean {
  return status === 503 || (status === 409 && headers.has('retry-after'));
}

function isRepeatable({ method, idempotencyKey }: Call): boolean {
  return method !== 'POST' || idempotencyKey !== undefined;
}

/** The body; a connection cut in the middle of it is no answer either. */
async function read<T>(response: Response): Promise<T> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    throw new UnreachableError(new URL(response.url).origin, true, error);
  }
  try {
    // What the gateway answers is what the protocol says: its own tests hold it to that.
    return (text === '' ? undefined : JSON.parse(text)) as T;
  } catch {
    throw new ProblemError({ status: 502, title: 'Not an answer of Tyrum', detail: 'the answer is not JSON' });
  }
}

/** Node says so; a browser never does, and then everything may have arrived. */
function wasRefused(error: unknown): boolean {
  // Several errors when the name has several addresses. Looked at by shape: fetch may be of another realm.
  const { cause } = error as { cause?: { code?: string; errors?: { code?: string }[] } };
  const causes = cause?.errors ?? [cause];
  return causes.length > 0 && causes.every((one) => one?.code === 'ECONNREFUSED');
}

function retryAfterMs(response: Response): number | undefined {
  const header = response.headers.get('retry-after');
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1_000, MAX_RETRY_AFTER_MS);
}
