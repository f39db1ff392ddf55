import type { Backplane, Handler, Topic } from './backplane';
import { Subscribers } from './subscribers';

/** One process: everything published has been delivered when `publish` returns. */
export class LocalBackplane implements Backplane {
  readonly kind = 'local';
  readonly healthy = true;
  readonly dropped = 0;
  private readonly subscribers = new Subscribers();

  publish(topic: Topic, payload?: string): void {
    this.subscribers.deliver(topic, payload);
  }

  subscribe(topic: Topic, handler: Handler): () => void {
    return this.subscribers.add(topic, handler);
  }

  /** Nothing is ever missed here. */
  onReconnect(): () => void {
    return () => {};
  }

  close(): Promise<void> {
    this.subscribers.clear();
    return Promise.resolve();
  }
}
