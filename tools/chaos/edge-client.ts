/** What the edge answered; status 0 = nothing. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
  readonly replayed: boolean;
}

const TIMEOUT_MS = 8_000;

/**
 * HTTP as a stranger would speak it: without the SDK, whose retries would hide what the edge does. Each request goes to the
 * next edge, as behind a load balancer, so that one that is asked again may meet another edge.
 */
export class EdgeClient {
  private calls = 0;

  constructor(
    readonly ports: readonly number[],
    readonly token: string,
  ) {}

  async call(method: string, path: string, body?: object, key?: string): Promise<Answer> {
    const port = this.ports[(this.calls += 1) % this.ports.length];
    try {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.token}`,
          ...(body ? { 'content-type': 'application/json' } : {}),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      const replayed = response.headers.get('idempotency-replayed') === 'true';
      return { status: response.status, body: parse(text), text, replayed };
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      return { status: 0, body: {}, text: cause?.code ?? String(error), replayed: false };
    }
  }

  /** Asks again, under the same key, until there is an answer that asking again would not change. */
  async insist(ask: () => Promise<Answer>, deadline: number): Promise<Answer> {
    for (;;) {
      const answer = await ask();
      const isFinal = answer.status !== 0 && answer.status < 500 && answer.status !== 409 && answer.status !== 429;
      if (isFinal || performance.now() >= deadline) return answer;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
