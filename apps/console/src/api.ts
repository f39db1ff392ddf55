import type { ProblemDetails, RouteAnswers, Session } from '@tyrum/protocol';

export type Route = keyof RouteAnswers;

export interface Call {
  /** What stands for `:name` in the route. */
  readonly params?: Readonly<Record<string, string | number>> | undefined;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: object;
  /** The same key with the same body is the same request, however often it is sent. */
  readonly key?: string;
  /** Speaks with this token instead of the session's cookie. It is sent and not kept. */
  readonly token?: string;
}

/** The edge said no, and why. */
export class ProblemError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Nobody answered: whether the request was carried out is not known. */
export class UnreachableError extends Error {
  constructor() {
    super('The edge cannot be reached. Try again: it will be the same request, carried out once.');
  }
}

const TIMEOUT_MS = 30_000;

/** What goes with the cookie on whatever changes something. It is worth nothing without the cookie, which scripts cannot read. */
let csrfToken = '';
let onSessionOver: () => void = () => undefined;

/** Calls the listener whenever the edge no longer knows the session. */
export function watchSession(listener: () => void): void {
  onSessionOver = listener;
}

/**
 * Asks the edge. Resolves with the answer's body, undefined where there is none.
 * @throws ProblemError @throws UnreachableError
 */
export async function ask<R extends Route>(route: R, call: Call = {}): Promise<RouteAnswers[R]> {
  const response = await send(route, call);
  if (!response.ok) throw await problemOf(response, call);
  if (response.status === 204) return undefined as RouteAnswers[R];
  const answer = (await response.json()) as RouteAnswers[R];
  if (route.endsWith(' /v1/session')) csrfToken = (answer as Session).csrf_token;
  return answer;
}

async function send(route: Route, { params = {}, query = {}, body, key, token }: Call): Promise<Response> {
  const [method = 'GET', pattern = ''] = route.split(' ');
  const path = pattern.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  const headers = new Headers();
  if (body) headers.set('Content-Type', 'application/json');
  if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
  else if (method !== 'GET') headers.set('X-CSRF-Token', csrfToken);
  if (key !== undefined) headers.set('Idempotency-Key', key);
  try {
    return await fetch(search === '' ? path : `${path}?${search}`, {
      method,
      headers,
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  } catch {
    throw new UnreachableError();
  }
}

async function problemOf(response: Response, { token }: Call): Promise<ProblemError> {
  // A token that is wrong at the log-in ends no session.
  if (response.status === 401 && token === undefined) onSessionOver();
  const problem = await response.json().then(
    (body) => body as Partial<ProblemDetails>,
    (): Partial<ProblemDetails> => ({}),
  );
  const { detail = `the answer was ${response.status}`, errors = [] } = problem;
  const fields = errors.map(({ field, message }) => `${field} ${message}`);
  return new ProblemError(response.status, fields.length > 0 ? fields.join('; ') : detail);
}

/** What to show of something thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
