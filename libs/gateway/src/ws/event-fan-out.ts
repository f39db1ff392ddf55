import type { Backplane } from '@tyrum/backplane';
import {
  comesAfter,
  EdgeSlot,
  OutboxTail,
  type EdgeSlotOptions,
  type OutboxReader,
  type Position,
  type StoredEvent,
} from '@tyrum/outbox';
import { eventScope, LIMITS } from '@tyrum/protocol';
import type { Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import type { GatewayMetrics } from '../gateway-metrics';
import type { Connection } from './connection';
import { TurnWatch } from '../mcp/turn-watch';
import type { ConnectionDirectory } from './connection-directory';
import { EventFrames } from './event-frames';
import { HeldPieces, type Piece } from './held-pieces';
import { readReplyPiece } from './reply-pieces';

export interface FanOutPorts {
  readonly store: StateStore;
  readonly reader: OutboxReader;
  readonly backplane: Backplane;
  readonly directory: ConnectionDirectory;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

export interface FanOutOptions {
  /** Which slot's place in the outbox this edge keeps, and as whom. */
  readonly slot: Pick<EdgeSlotOptions, 'slot' | 'holder' | 'beat'>;
  readonly newId: () => string;
  readonly nowMs: () => number;
}

/** How often the metrics of the outbox are brought up to date, in ms. */
const MEASURE_MS = 30_000;

/**
 * Carries events from the outbox and the reply streams to the connections they are for. One tail serves the process; an
 * event is serialized once, not once a connection.
 *
 * The tail goes on where the edge of this name had come before it was restarted. What was committed before this start is
 * passed over all the same: no connection is older, and one that resumes reads what it missed by its own cursor.
 */
export class EventFanOut {
  private tail: OutboxTail | undefined;
  private slot: EdgeSlot | undefined;
  private position: Position | undefined;
  private measuring: NodeJS.Timeout | undefined;
  private unsubscribe: (() => void) | undefined;
  /** Pieces held back for a crowd, and what will let them go. */
  private readonly held = new HeldPieces();
  private releasing: NodeJS.Timeout | undefined;
  /** Who waits for turns of this process' clients. */
  readonly turns = new TurnWatch();
  /** The last event handed to the connections that are joined. */
  last: StoredEvent | undefined;

  constructor(
    private readonly ports: FanOutPorts,
    private readonly options: FanOutOptions,
  ) {}

  /** Resolves once no event that is committed later can be missed. @throws {StoreUnavailableError} */
  async start(): Promise<void> {
    const { store, reader, backplane, logger, metrics } = this.ports;
    const slot = await EdgeSlot.take(store, {
      ...this.options.slot,
      onError: (error) => logger.warn({ err: error }, 'the place in the outbox cannot be kept; trying again'),
      onLost: () => logger.error({ slot: this.options.slot.slot }, 'another process runs under the same instance id'),
    });
    const begunAt = await reader.head();
    this.slot = slot;
    this.position = slot.from;
    this.tail = new OutboxTail(reader, backplane, {
      from: slot.from,
      onEvents: (events) => this.deliver(events.filter(({ position }) => comesAfter(position, begunAt))),
      onGap: (position) => this.tellGap(position),
      onPassed: (position) => {
        this.position = position;
        slot.passed(position);
      },
      onError: (error) => logger.warn({ err: error }, 'events cannot be read; trying again'),
    });
    await this.tail.start();
    slot.start();
    this.unsubscribe = backplane.subscribe('stream', (payload) => this.stream(payload));
    const measure = async (): Promise<void> => {
      if (this.position) metrics.outboxLag(await reader.lag(this.position));
    };
    this.measuring = setInterval(
      () => void measure().catch((error: unknown) => logger.debug({ err: error }, 'the outbox cannot be measured')),
      MEASURE_MS,
    ).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.measuring);
    this.unsubscribe?.();
    this.release();
    await this.tail?.stop();
    await this.slot?.leave();
  }

  /** What goes to the same readers goes to each of them in one piece. */
  private deliver(events: readonly StoredEvent[]): void {
    // A message that is final comes behind its pieces.
    if (this.releasing !== undefined) this.release();
    const { directory } = this.ports;
    let audience: Iterable<Connection> = [];
    let frames = new EventFrames();
    for (const event of events) {
      const next = directory.audience(event.tenantId, event.scope);
      if (next !== audience || frames.isFull) {
        this.send(frames, audience);
        [audience, frames] = [next, new EventFrames()];
      }
      if (!isEmpty(next)) frames.add(event);
      this.turns.tell(event);
      this.last = event;
    }
    this.send(frames, audience);
  }

  private send(frames: EventFrames, audience: Iterable<Connection>): void {
    if (frames.count === 0) return;
    let reached = 0;
    for (const connection of audience) if (connection.deliver(frames)) reached += 1;
    this.ports.metrics.eventsSent(reached * frames.count);
  }

  /** Nobody here has seen what is gone, so everybody is told. Who is still catching up reads, and finds out, by itself. */
  private tellGap(position: Position): void {
    this.ports.metrics.outboxGap();
    this.ports.logger.error({ slot: this.options.slot.slot }, 'retention or a restore has overtaken this edge');
    for (const connection of this.ports.directory.joined()) connection.tellGap(position);
  }

  /** A piece of a reply. Best effort: what is malformed or lost is not missed, the message itself is durable. */
  private stream(text: string | undefined): void {
    const reply = readReplyPiece(text);
    if (!reply) return;
    const { events, ...whom } = reply;
    const audience = this.audienceOf(whom);
    if (audience.length === 0) return;
    const pieces = events.map((event) => ({ ...whom, event }));
    if (this.releasing === undefined && audience.length < LIMITS.streamCrowd) return this.sendPieces(pieces, audience);
    for (const piece of pieces) this.held.add(piece);
    if (this.held.bytes > LIMITS.heldPiecesBytes) return this.release();
    this.releasing ??= setTimeout(() => this.release(), LIMITS.streamCrowdMs);
  }

  /** Sends what was held back: for a crowd a piece costs a frame each, so that it gets fewer and longer ones. */
  private release(): void {
    clearTimeout(this.releasing);
    this.releasing = undefined;
    for (const piece of this.held.take()) this.sendPieces([piece], this.audienceOf(piece));
  }

  private sendPieces(pieces: readonly Piece[], audience: readonly Connection[]): void {
    let sent = 0;
    for (const piece of pieces) {
      const frames = this.framesOf(piece);
      for (const connection of audience) if (connection.deliverPiece(piece, frames, this.framesOf)) sent += 1;
    }
    this.ports.metrics.eventsSent(sent);
  }

  private audienceOf({ tenantId, agentKey }: Pick<Piece, 'tenantId' | 'agentKey'>): Connection[] {
    return [...this.ports.directory.audience(tenantId, { kind: 'agent', id: agentKey })];
  }

  private readonly framesOf = ({ agentKey, event: { type, payload } }: Piece): EventFrames =>
    EventFrames.live({
      event_id: this.options.newId(),
      type,
      occurred_at: new Date(this.options.nowMs()).toISOString(),
      scope: eventScope('agent', agentKey),
      payload,
    });
}

function isEmpty(connections: Iterable<Connection>): boolean {
  for (const _ of connections) return false;
  return true;
}
