import type { Backplane } from './backplane';

export interface PollResult {
  /** There is more to do at once. */
  readonly more: boolean;
  /** When something falls due by itself, in milliseconds from now. */
  readonly nextDueInMs?: number;
  /** How long wake-ups have to wait, in milliseconds: the next step would cost the same and find more. */
  readonly restMs?: number;
}

export interface AdaptivePollOptions {
  /** Its health decides how patient the poll is. */
  readonly backplane: Pick<Backplane, 'healthy' | 'onReconnect'>;
  /** Told about every step that threw; the step is tried again with backoff. */
  readonly onError: (error: unknown) => void;
  /** Longest pause while wake-ups can be relied on for speed. */
  readonly maxMs?: number;
  /** Longest pause while they cannot. */
  readonly unhealthyMaxMs?: number;
}

const DEFAULT_MAX_MS = 4_000;
const DEFAULT_UNHEALTHY_MAX_MS = 500;
const MIN_MS = 50;
const ERROR_BASE_MS = 100;

/**
 * Calls `step` again and again: at once while there is more, when woken, when something falls due, and in any case after a
 * pause that grows while nothing happens. Wake-ups make it fast; the pauses make it correct without them. A step that is busy may ask
 * for a rest: wake-ups that come in it count at its end. Steps never overlap.
 */
export class AdaptivePoll {
  private running: Promise<void> | undefined;
  private stopped = false;
  /** Somebody asked for a step since the last one began. */
  private woken = false;
  private endPause: (() => void) | undefined;
  private pauseMs = MIN_MS;
  /** Above 0 while no wake-up may end the pause. */
  private restMs = 0;
  private failures = 0;
  private unsubscribe: (() => void) | undefined;

  constructor(
    private readonly step: () => Promise<PollResult>,
    private readonly options: AdaptivePollOptions,
  ) {}

  /** The first step begins at once. */
  start(): void {
    if (this.running) return;
    this.unsubscribe = this.options.backplane.onReconnect(() => this.wake());
    this.running = this.loop();
  }

  /** Makes the next step come at once; during a step, makes another one follow it. */
  wake(): void {
    this.woken = true;
    // A wake-up does not make a broken database whole, and under load there are thousands of them.
    if (this.failures === 0 && this.restMs === 0) this.endPause?.();
  }

  /** Resolves when the step under way has ended; no other begins. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.unsubscribe?.();
    this.endPause?.();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      this.woken = false;
      const pauseMs = await this.runStep();
      if (this.restMs > 0 && !this.stopped) await this.pause(this.restMs);
      this.restMs = 0;
      const atOnce = pauseMs === 0 || (this.woken && this.failures === 0);
      if (!atOnce && !this.stopped) await this.pause(pauseMs);
    }
  }

  /** Returns how long to pause. */
  private async runStep(): Promise<number> {
    try {
      const { more, nextDueInMs = Infinity, restMs = 0 } = await this.step();
      this.failures = 0;
      this.restMs = restMs;
      if (more) {
        this.pauseMs = MIN_MS;
        return 0;
      }
      const pauseMs = Math.min(this.pauseMs, this.longestPause());
      this.pauseMs = pauseMs * 2;
      return Math.max(1, Math.min(pauseMs, nextDueInMs));
    } catch (error) {
      this.options.onError(error);
      this.failures += 1;
      const backoffMs = Math.min(ERROR_BASE_MS * 2 ** Math.min(this.failures - 1, 10), this.longestPause());
      return backoffMs * (0.5 + Math.random() / 2);
    }
  }

  private longestPause(): number {
    const { backplane, maxMs, unhealthyMaxMs } = this.options;
    return backplane.healthy ? (maxMs ?? DEFAULT_MAX_MS) : (unhealthyMaxMs ?? DEFAULT_UNHEALTHY_MAX_MS);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.endPause = () => {
        clearTimeout(timer);
        this.endPause = undefined;
        resolve();
      };
      const timer = setTimeout(this.endPause, ms);
    });
  }
}
