import { randomUUID } from 'node:crypto';
import type { Backplane, CommitTail, Handler, Topic } from './backplane';
import { Coalescer } from './coalescer';
import { LaterWakeUps, MAX_DELAY_MS } from './later-wake-ups';
import { Subscribers } from './subscribers';

interface WireMessage {
  /** The sending process, which has delivered to itself already. */
  readonly from: string;
  readonly topic: Topic;
  readonly payload?: string;
  /** [message, index, count]: `payload` is one piece of it, in base64. */
  readonly part?: readonly [number, number, number];
}

/** Pieces of one message that have arrived so far. */
interface Assembly {
  readonly message: number;
  readonly pieces: Buffer[];
}

export interface LinkOptions {
  readonly windowMs: number;
  /** The longest text the carrier takes, in bytes; longer messages travel in pieces. */
  readonly maxBytes: number;
}

/** The longest payload, in bytes. */
export const MAX_PAYLOAD_BYTES = 64 * 1024;
/** What the fields around a payload may take of a text, in bytes. */
const ENVELOPE_BYTES = 200;
/** Processes whose pieces are kept while the rest of them is on its way. */
const MAX_ASSEMBLIES = 256;

/**
 * What every backplane between processes does, whatever carries its messages: subscribers here are called first, wake-ups
 * are coalesced, and a payload that is too long for the carrier goes in pieces. A lost piece loses its message and no other:
 * one process sends in order, so pieces of another message mean that the rest will not come.
 */
export abstract class LinkedBackplane implements Backplane {
  abstract readonly kind: Backplane['kind'];
  abstract readonly problem: string | undefined;
  protected readonly subscribers = new Subscribers();
  private readonly id = randomUUID();
  private readonly coalescer: Coalescer;
  private readonly assemblies = new Map<string, Assembly>();
  private readonly later = new LaterWakeUps((topic) => this.publish(topic));
  private messages = 0;
  private lostMessages = 0;

  constructor(private readonly options: LinkOptions) {
    this.coalescer = new Coalescer((topic) => this.wakeOthers(topic), options.windowMs);
  }

  get healthy(): boolean {
    return this.problem === undefined;
  }

  get dropped(): number {
    return this.lostMessages;
  }

  publish(topic: Topic, payload?: string): void {
    this.subscribers.deliver(topic, payload);
    if (payload === undefined) this.coalescer.publish(topic);
    else this.send(topic, payload);
  }

  publishBehind(commit: CommitTail, topics: readonly Topic[]): () => void {
    const due = topics.filter((topic) => !this.coalescer.isOpen(topic));
    const texts = due.map((topic) => encode({ from: this.id, topic }));
    // What it carried may be committed all the same: the usual way is left.
    const lost = (): void => due.forEach((topic) => this.coalescer.publish(topic));
    const left = due.length > 0 && this.leaveBehind(commit, texts, lost);
    if (left) for (const topic of due) this.coalescer.open(topic);
    return () => {
      for (const topic of topics) {
        if (left && due.includes(topic)) this.subscribers.deliver(topic, undefined);
        else this.publish(topic);
      }
    };
  }

  wakeLater(topic: Topic, delayMs: number): void {
    const delay = Math.min(Math.max(0, delayMs), MAX_DELAY_MS);
    if (!this.wakeOthersLater(topic, delay)) this.later.add(topic, delay);
  }

  subscribe(topic: Topic, handler: Handler): () => void {
    return this.subscribers.add(topic, handler);
  }

  onReconnect(handler: () => void): () => void {
    return this.subscribers.addReconnect(handler);
  }

  close(): Promise<void> {
    this.coalescer.close();
    this.later.close();
    this.subscribers.clear();
    this.assemblies.clear();
    return this.disconnect();
  }

  /** Hands a text to the server, or returns false. What shows to be lost later is told through `lost`. */
  protected abstract carry(text: string): boolean;

  protected abstract disconnect(): Promise<void>;

  /** Has texts carried with a COMMIT, or returns false. */
  protected leaveBehind(_commit: CommitTail, _texts: readonly string[], _lost: () => void): boolean {
    return false;
  }

  /** Wakes other processes; once for all wake-ups of a window. */
  protected wakeOthers(topic: Topic): void {
    this.send(topic);
  }

  /** Leaves a delayed wake-up with the server, so that it outlives this process. False = this process keeps it. */
  protected wakeOthersLater(_topic: Topic, _delayMs: number): boolean {
    return false;
  }

  /** Takes what the server delivered. Anybody may write to the channel, so text that is none of ours is passed over. */
  protected receive(text: string): void {
    const message = decode(text);
    if (!message || message.from === this.id) return;
    if (!message.part) return void this.subscribers.deliver(message.topic, message.payload);
    const payload = this.assemble(message.from, message.part, message.payload ?? '');
    if (payload !== undefined) this.subscribers.deliver(message.topic, payload);
  }

  /** Counts a message that could not be sent. */
  protected lost(): void {
    this.lostMessages += 1;
  }

  private send(topic: Topic, payload?: string): void {
    const { maxBytes } = this.options;
    if (payload !== undefined && Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) return this.lost();
    const text = encode({ from: this.id, topic, ...(payload === undefined ? {} : { payload }) });
    const isSent =
      payload === undefined || Buffer.byteLength(text) <= maxBytes
        ? this.carry(text)
        : this.sendInPieces(topic, Buffer.from(payload));
    if (!isSent) this.lost();
  }

  private sendInPieces(topic: Topic, payload: Buffer): boolean {
    const size = Math.floor(((this.options.maxBytes - ENVELOPE_BYTES) * 3) / 4);
    const count = Math.ceil(payload.length / size);
    const message = (this.messages += 1);
    for (let i = 0; i < count; i += 1) {
      const piece = payload.subarray(i * size, (i + 1) * size).toString('base64');
      if (!this.carry(encode({ from: this.id, topic, part: [message, i, count], payload: piece }))) return false;
    }
    return true;
  }

  /** Adds a piece; returns the payload when it was the last one. */
  private assemble(from: string, [message, index, count]: NonNullable<WireMessage['part']>, piece: string) {
    const begun = index === 0 ? { message, pieces: [] } : this.assemblies.get(from);
    // Deleted and set again, so that the first entry is always the one that has waited longest.
    this.assemblies.delete(from);
    if (!begun || begun.message !== message || begun.pieces.length !== index) return undefined;
    begun.pieces.push(Buffer.from(piece, 'base64'));
    if (begun.pieces.length * (this.options.maxBytes / 2) > 4 * MAX_PAYLOAD_BYTES) return undefined;
    if (begun.pieces.length === count) return Buffer.concat(begun.pieces).toString();
    this.assemblies.set(from, begun);
    const [oldest] = this.assemblies.keys();
    if (this.assemblies.size > MAX_ASSEMBLIES && oldest !== undefined) this.assemblies.delete(oldest);
    return undefined;
  }
}

function encode(message: WireMessage): string {
  return JSON.stringify(message);
}

function decode(text: string): WireMessage | undefined {
  try {
    const message = JSON.parse(text) as Partial<WireMessage> | null;
    const isKnown =
      typeof message?.from === 'string' &&
      typeof message.topic === 'string' &&
      ['string', 'undefined'].includes(typeof message.payload) &&
      (message.part === undefined || isPart(message.part));
    return isKnown ? (message as WireMessage) : undefined;
  } catch {
    return undefined;
  }
}

function isPart(part: unknown): boolean {
  return Array.isArray(part) && part.length === 3 && part.every((n) => Number.isSafeInteger(n) && n >= 0);
}
