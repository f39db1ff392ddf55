import type { ProblemDetails, Violation } from '@tyrum/protocol';

/** An `application/problem+json` answer (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  /** The error codes of the WebSocket; `internal` for an answer that is not the gateway's own. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  /** The fields at fault of a contract error. */
  readonly errors: readonly Violation[];

  constructor(problem: Partial<ProblemDetails> & { readonly status: number; readonly errors?: readonly Violation[] }) {
    super(problem.detail ?? problem.title ?? `HTTP ${problem.status}`);
    this.status = problem.status;
    this.code = problem.code ?? 'internal';
    this.title = problem.title ?? `HTTP ${problem.status}`;
    this.detail = problem.detail ?? '';
    this.errors = problem.errors ?? [];
  }

  /** From an answer that is not ok. An answer of a proxy in between, which is no problem document, keeps its status. */
  static async from(response: Response): Promise<ProblemError> {
    const text = await response.text();
    try {
      const body: unknown = JSON.parse(text);
      if (typeof body === 'object' && body !== null) return new ProblemError({ ...body, status: response.status });
    } catch {
      // Not JSON: the text itself says more than nothing.
    }
    return new ProblemError({ status: response.status, title: response.statusText, detail: text.slice(0, 200) });
  }
}

/** No answer came. `mayHaveArrived` is false when it is certain that the request was not carried out. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly code = 'unreachable';

  constructor(
    readonly url: string,
    readonly mayHaveArrived: boolean,
    cause: unknown,
  ) {
    super(`${url} cannot be reached: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(error: unknown): string {
  // fetch says "fetch failed" and puts what happened into `cause`.
  const { cause, message, name } = error as {
    cause?: { message?: string; code?: string };
    message?: string;
    name?: string;
  };
  return cause?.message || cause?.code || message || name || String(error);
}
