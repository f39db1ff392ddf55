import type { Backplane, CommitTail, Handler, Topic } from './backplane';
import { LaterWakeUps } from './later-wake-ups';
import { Subscribers } from './subscribers';

/** One process: everything published has been delivered when `publish` returns. */
export class LocalBackplane implements Backplane {
  readonly kind = 'local';
  readonly healthy = true;
  readonly problem = undefined;
  readonly dropped = 0;
  private readonly subscribers = new Subscribers();
  private readonly later = new LaterWakeUps((topic) => this.publish(topic));

  publish(topic: Topic, payload?: string): void {
    this.subscribers.deliver(topic, payload);
  }

  publishBehind(_commit: CommitTail, topics: readonly Topic[]): () => void {
    return () => topics.forEach((topic) => this.publish(topic));
  }

  wakeLater(topic: Topic, delayMs: number): void {
    this.later.add(topic, delayMs);
  }

  subscribe(topic: Topic, handler: Handler): () => void {
    return this.subscribers.add(topic, handler);
  }

  /** Nothing is ever missed here. */
  onReconnect(): () => void {
    return () => {};
  }

  close(): Promise<void> {
    this.later.close();
    this.subscribers.clear();
    return Promise.resolve();
  }
}
