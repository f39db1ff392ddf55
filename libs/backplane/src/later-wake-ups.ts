import type { Topic } from './backplane';

/** The longest delay, in ms: what is due later is found by polling. */
export const MAX_DELAY_MS = 60 * 60 * 1_000;
/** Delays are kept to this precision, in ms, so that a thousand retries of one moment are one wake-up. */
const SLOT_MS = 20;
/** Wake-ups kept at once; more are left to polling. */
const MAX_KEPT = 1_000;

/** Wake-ups of this process for later. They keep no process alive and are gone with it. */
export class LaterWakeUps {
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(private readonly wake: (topic: Topic) => void) {}

  add(topic: Topic, delayMs: number): void {
    const delay = Math.min(Math.max(0, delayMs), MAX_DELAY_MS);
    // Rounded up: a wake-up before the moment would find nothing.
    const slot = `${topic}:${Math.ceil((performance.now() + delay) / SLOT_MS)}`;
    if (this.timers.has(slot) || this.timers.size >= MAX_KEPT) return;
    const timer = setTimeout(
      () => {
        this.timers.delete(slot);
        this.wake(topic);
      },
      Math.ceil(delay) + SLOT_MS,
    );
    this.timers.set(slot, timer.unref());
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }
}
