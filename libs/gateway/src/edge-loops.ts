import type { DispatchLoop } from '@tyrum/nodes';
import type { DirectedDelivery } from './ws/directed-delivery';
import type { EventFanOut } from './ws/event-fan-out';
import type { NodeDesk } from './ws/node-desk';
import type { PresenceFanOut } from './ws/presence-fan-out';

/** What runs in an edge besides its doors: from before the first connection until after the last one. */
export class EdgeLoops {
  constructor(
    private readonly fanOut: EventFanOut,
    private readonly directed: DirectedDelivery,
    private readonly nodes: NodeDesk,
    private readonly presence: PresenceFanOut,
    private readonly dispatches: DispatchLoop,
  ) {}

  /** Resolves once no event that is committed later can be missed. @throws {StoreUnavailableError} */
  async start(): Promise<void> {
    await this.fanOut.start();
    this.directed.start();
    this.nodes.start();
    this.presence.start();
    this.dispatches.start();
  }

  /** The edge's place is given up last: what is on its way to it goes back to its origins from then on. */
  async stop(): Promise<void> {
    this.presence.stop();
    await this.dispatches.stop();
    await this.nodes.stop();
    await this.directed.stop();
    await this.fanOut.stop();
  }
}
