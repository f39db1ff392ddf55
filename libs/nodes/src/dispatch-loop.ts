import { AdaptivePoll, type Backplane } from '@tyrum/backplane';
import type { Dispatches } from './dispatches';

/** Longest pause between two looks, in ms; wake-ups and deadlines make it shorter. */
const MAX_PAUSE_MS = 10_000;

/**
 * Looks after open dispatches: when a node comes or goes, when a message came back, when a deadline passes, when a turn is
 * cancelled. It runs in every edge and worker, so that it is enough that one of them is alive.
 */
export class DispatchLoop {
  private readonly poll: AdaptivePoll;
  private readonly unsubscribe: (() => void)[] = [];

  constructor(
    dispatches: Dispatches,
    private readonly backplane: Backplane,
    onError: (error: unknown) => void,
  ) {
    this.poll = new AdaptivePoll(() => dispatches.lookAfter(), { backplane, maxMs: MAX_PAUSE_MS, onError });
  }

  start(): void {
    for (const topic of ['nodes', 'directed', 'cancel'] as const) {
      this.unsubscribe.push(this.backplane.subscribe(topic, () => this.poll.wake()));
    }
    this.poll.start();
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.unsubscribe.splice(0)) unsubscribe();
    await this.poll.stop();
  }
}
