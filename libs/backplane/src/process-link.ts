import { randomUUID } from 'node:crypto';
import type { Topic } from './backplane';
import { Coalescer } from './coalescer';
import { Subscribers } from './subscribers';

interface WireMessage {
  /** The sending process, which has delivered to itself already. */
  readonly from: string;
  readonly topic: Topic;
  readonly payload?: string;
}

export interface ProcessLinkOptions {
  /** Hands a message to the server. False = it could not be sent. Failures that show later are told through `lost`. */
  readonly send: (text: string) => boolean;
  readonly windowMs: number;
  readonly maxBytes: number;
}

/** What every backplane between processes does, whatever carries its messages. */
export class ProcessLink {
  readonly subscribers = new Subscribers();
  dropped = 0;
  private readonly id = randomUUID();
  private readonly coalescer: Coalescer;

  constructor(private readonly options: ProcessLinkOptions) {
    this.coalescer = new Coalescer((topic) => this.send(topic), options.windowMs);
  }

  publish(topic: Topic, payload?: string): void {
    this.subscribers.deliver(topic, payload);
    if (payload === undefined) this.coalescer.publish(topic);
    else this.send(topic, payload);
  }

  /** Takes what the server delivered. Anybody may write to the channel, so text that is none of ours is passed over. */
  receive(text: string): void {
    const message = decode(text);
    if (message && message.from !== this.id) this.subscribers.deliver(message.topic, message.payload);
  }

  /** Counts a message that was handed over and yet not sent. */
  lost(): void {
    this.dropped += 1;
  }

  close(): void {
    this.coalescer.close();
    this.subscribers.clear();
  }

  private send(topic: Topic, payload?: string): void {
    const text = JSON.stringify({ from: this.id, topic, payload } satisfies { [K in keyof WireMessage]: unknown });
    if (Buffer.byteLength(text) > this.options.maxBytes || !this.options.send(text)) this.dropped += 1;
  }
}

function decode(text: string): WireMessage | undefined {
  try {
    const message = JSON.parse(text) as Partial<WireMessage> | null;
    const known = typeof message?.from === 'string' && typeof message.topic === 'string';
    return known && ['string', 'undefined'].includes(typeof message.payload) ? (message as WireMessage) : undefined;
  } catch {
    return undefined;
  }
}
