import type { Topic } from './backplane';

/**
 * Sends wake-ups at most once per topic and window. The first of a quiet period goes at once, so that an idle system answers
 * immediately; under load one message at the end of the window stands for all commits within it.
 */
export class Coalescer {
  private readonly windows = new Map<Topic, { again: boolean; readonly timer: NodeJS.Timeout }>();

  constructor(
    private readonly send: (topic: Topic) => void,
    private readonly windowMs: number,
  ) {}

  publish(topic: Topic): void {
    const window = this.windows.get(topic);
    if (window) {
      window.again = true;
      return;
    }
    this.send(topic);
    this.open(topic);
  }

  isOpen(topic: Topic): boolean {
    return this.windows.has(topic);
  }

  /** Begins a window whose first message goes another way. */
  open(topic: Topic): void {
    const timer = setTimeout(() => this.endWindow(topic), this.windowMs);
    this.windows.set(topic, { again: false, timer });
  }

  close(): void {
    for (const { timer } of this.windows.values()) clearTimeout(timer);
    this.windows.clear();
  }

  private endWindow(topic: Topic): void {
    const again = this.windows.get(topic)?.again;
    this.windows.delete(topic);
    if (again) this.publish(topic);
  }
}
