import { scrubText } from './redaction';

/** One thing this process needs to serve. */
export interface ReadinessCheck {
  /** Shown to operators; unique in the process. */
  readonly name: string;
  /**
   * Rejects with what is wrong. Resolves with a text where the process serves all the same, only worse: operators see it,
   * and traffic still comes. The signal aborts at the timeout.
   */
  check(signal: AbortSignal): Promise<string | void>;
  /** How long to wait for it, in ms. Keep it below the probe's own timeout. */
  readonly timeoutMs: number;
}

/** What `/readyz` answers. */
export interface Readiness {
  readonly status: 'ready' | 'not_ready';
  /** In registration order; `error` and `degraded` are free of credentials. */
  readonly checks: readonly { name: string; ok: boolean; error?: string; degraded?: string; latency_ms: number }[];
}

/** What a check came to; neither = all is well. */
interface Verdict {
  readonly error?: string;
  readonly degraded?: string;
}

const MAX_ERROR_LENGTH = 300;
const DRAINING = Object.freeze({ name: 'draining', ok: false, error: 'shutting down', latency_ms: 0 });

/**
 * Knows whether this process should get traffic. Liveness is deliberately not asked here: restarting a process does not
 * bring its database back, so a check may take it out of rotation and never get it killed.
 */
export class HealthRegistry {
  readonly #checks: ReadinessCheck[] = [];
  /** Runs that have not ended. A hanging check is not started again: each probe would leave one more connection behind. */
  readonly #running = new Map<string, Promise<Verdict>>();
  #draining = false;

  /** @param now monotonic milliseconds */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Adds a check; it runs at every probe. Throws when the name is taken. */
  register(check: ReadinessCheck): void {
    if (this.#checks.some(({ name }) => name === check.name)) {
      throw new Error(`a readiness check named ${check.name} is already registered`);
    }
    this.#checks.push(check);
  }

  /** From now on not ready, whatever the checks say. There is no way back. */
  markDraining(): void {
    this.#draining = true;
  }

  /** Runs all checks in parallel, each under its timeout. Never rejects. */
  async readiness(): Promise<Readiness> {
    // Balancers wait for this answer: it waits for nothing itself.
    if (this.#draining) return { status: 'not_ready', checks: [DRAINING] };
    const checks = await Promise.all(this.#checks.map((check) => this.#measure(check)));
    // Read after the checks: a drain that began meanwhile counts.
    if (this.#draining) checks.push(DRAINING);
    return { status: checks.every(({ ok }) => ok) ? 'ready' : 'not_ready', checks };
  }

  async #measure(check: ReadinessCheck): Promise<Readiness['checks'][number]> {
    const startedAt = this.now();
    const verdict = await this.#run(check);
    const latency_ms = Math.round((this.now() - startedAt) * 10) / 10;
    return { name: check.name, ok: verdict.error === undefined, ...verdict, latency_ms };
  }

  async #run(check: ReadinessCheck): Promise<Verdict> {
    const abort = new AbortController();
    const running = this.#running.get(check.name) ?? this.#start(check, abort.signal);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<Verdict>((resolve) => {
      timer = setTimeout(() => {
        resolve({ error: `no answer within ${check.timeoutMs} ms` });
        abort.abort();
      }, check.timeoutMs);
    });
    try {
      return await Promise.race([running, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #start(check: ReadinessCheck, signal: AbortSignal): Promise<Verdict> {
    const run = (async () => check.check(signal))()
      .then(
        (degraded) => (typeof degraded === 'string' ? { degraded: describe(degraded) } : {}),
        (error: unknown) => ({ error: describe(error) }),
      )
      .finally(() => this.#running.delete(check.name));
    this.#running.set(check.name, run);
    return run;
  }
}

function describe(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return scrubText(text).slice(0, MAX_ERROR_LENGTH);
}
