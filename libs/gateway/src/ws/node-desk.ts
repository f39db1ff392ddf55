import { AdaptivePoll, type Backplane, type PollResult } from '@tyrum/backplane';
import { toPairing, type Dispatches, type Pairings, type PairingRow, type PeerRegistry } from '@tyrum/nodes';
import { appendEvents } from '@tyrum/outbox';
import type { Logger } from '@tyrum/platform';
import {
  CloseCode,
  isUuid,
  WireError,
  type CapabilityReadyPayload,
  type JsonValue,
  type ResponseEnvelope,
} from '@tyrum/protocol';
import { StoreUnavailableError, UnknownCommitError, type StateStore } from '@tyrum/statestore';
import type { Refusal, RefusalAudit } from '../limits/refusal-audit';
import type { Connection } from './connection';
import { outcomeOfAnswer } from './node-answer';
import { journalOf } from './node-journal';

export interface NodeDeskPorts {
  readonly store: StateStore;
  readonly pairings: Pairings;
  readonly dispatches: Dispatches;
  readonly registry: PeerRegistry;
  readonly backplane: Backplane;
  readonly audit: RefusalAudit;
  readonly logger: Logger;
  readonly newId: () => string;
  readonly nowMs: () => number;
}

/** A node that is connected here, and what it was last told of its pairing. */
interface SeatedNode {
  readonly connection: Connection;
  told?: Pick<PairingRow, 'status' | 'updated_at'>;
  /** It got its own token over this connection: another one would void that. */
  isProvided: boolean;
  answersInFlight: number;
  /** One thing after the other for each node. */
  turn: Promise<void>;
}

/** How soon a decision reaches a node when no wake-up tells of it, in ms: a revoked one is gone within twice that. */
const WATCH_MS = 1_000;
/** Answers of one node that wait for their commit. */
const MAX_ANSWERS = 256;
const ANSWER_ATTEMPTS = 20;

/**
 * What the edge does for the nodes that are connected to it: asks for their pairing, tells them what was decided, hands over
 * their own token, takes what they answer, and shows those the door who are not wanted.
 *
 *     connected ──▶ pairing asked for ──▶ told ──▶ … decided anywhere ──▶ told again (approved: with its token, once)
 *                                                                      └─▶ denied, revoked: told, closed (4001)
 */
export class NodeDesk {
  private readonly nodes = new Map<Connection, SeatedNode>();
  private readonly watch: AdaptivePoll;
  private unsubscribe: (() => void) | undefined;

  constructor(private readonly ports: NodeDeskPorts) {
    this.watch = new AdaptivePoll(() => this.look(), {
      backplane: ports.backplane,
      maxMs: WATCH_MS,
      onError: (error) => ports.logger.warn({ err: error }, 'pairings cannot be read; trying again'),
    });
  }

  start(): void {
    this.unsubscribe = this.ports.backplane.subscribe('nodes', () => this.watch.wake());
    this.ports.registry.start();
    this.watch.start();
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    await this.watch.stop();
    await this.ports.registry.stop();
  }

  /** A peer has shaken hands: everybody may know that it is here. */
  connected(connection: Connection): void {
    const { connectionId, tenantId, deviceId, role, device = {}, capabilities = [] } = connection.peer;
    this.ports.registry.put({ connectionId, tenantId, deviceId, role, device, capabilities });
    if (role !== 'node') return;
    const node: SeatedNode = { connection, isProvided: false, answersInFlight: 0, turn: Promise.resolve() };
    this.nodes.set(connection, node);
    this.enqueue(node, () => this.ask(node));
  }

  disconnected(connection: Connection): void {
    this.nodes.delete(connection);
    this.ports.registry.remove(connection.peer.connectionId);
  }

  /** A node says what it can do right now. */
  async ready(connection: Connection, payload: CapabilityReadyPayload): Promise<undefined> {
    const { registry, store, newId, nowMs } = this.ports;
    const node = this.nodes.get(connection);
    const known = registry.get(connection.peer.connectionId);
    if (!node || !known) throw new WireError('conflict', 'the connection is closing');
    const capabilities = payload.capabilities.map(({ id, version }) => ({ id, version }));
    const journal = journalOf(payload.capability_states);
    registry.put({ ...known, capabilities, ...(journal ? { journal } : {}) });
    const { tenantId, deviceId } = connection.peer;
    await store.transaction((tx) =>
      appendEvents(tx, [
        {
          eventId: newId(),
          tenantId,
          type: 'capability.ready',
          scope: { kind: 'global' },
          payload: { node_id: deviceId, capabilities, capability_states: payload.capability_states },
          occurredAt: nowMs(),
        },
      ]),
    );
    this.ports.backplane.publish('outbox');
    this.enqueue(node, () => this.ask(node));
    return undefined;
  }

  /** Takes a node's answer to `task.execute`; what is no answer of a node is nobody's business. */
  answered(connection: Connection, response: ResponseEnvelope<JsonValue>): void {
    const node = this.nodes.get(connection);
    if (!node || response.type !== 'task.execute' || !isUuid(response.request_id)) return;
    if (node.answersInFlight >= MAX_ANSWERS) {
      this.noteRefusal(connection, { reason: 'answers_in_flight' });
      return connection.link.close(CloseCode.Overloaded, 'too many answers at once');
    }
    node.answersInFlight += 1;
    const done = this.settle(connection, response)
      .catch((error: unknown) => {
        this.ports.logger.error({ err: error, dispatch_id: response.request_id }, 'an answer could not be kept');
        // It is asked again on its next connection, and answers from its journal.
        connection.link.close(CloseCode.Overloaded, 'the answer could not be kept');
      })
      .finally(() => (node.answersInFlight -= 1));
    connection.track(done);
  }

  private async settle({ peer }: Connection, response: ResponseEnvelope<JsonValue>): Promise<void> {
    const from = { tenantId: peer.tenantId, nodeId: peer.deviceId };
    const outcome = outcomeOfAnswer(response);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const counted = await this.ports.dispatches.settle(from, response.request_id, outcome);
        if (!counted) this.ports.logger.debug({ dispatch_id: response.request_id }, 'an answer came twice or late');
        return;
      } catch (error) {
        const passes = error instanceof StoreUnavailableError || error instanceof UnknownCommitError;
        if (!passes || attempt >= ANSWER_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50 * attempt));
      }
    }
  }

  /** Asks for the node's pairing, or reports that it is there again, and tells it how things stand. */
  private async ask(node: SeatedNode): Promise<void> {
    const { tenantId, deviceId, connectionId, device } = node.connection.peer;
    const capabilities = this.ports.registry.get(connectionId)?.capabilities ?? [];
    const label = device?.label;
    const request = { tenantId, nodeId: deviceId, capabilities, ...(label === undefined ? {} : { label }) };
    try {
      await this.tell(node, await this.ports.pairings.request(request));
      this.ports.backplane.publish('outbox');
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.noteRefusal(node.connection, { reason: 'pairings_waiting' });
      node.connection.link.close(CloseCode.Overloaded, error.message);
    }
  }

  private async look(): Promise<PollResult> {
    const nodes = [...this.nodes.values()];
    if (nodes.length === 0) return { more: false };
    for (const node of nodes)
      if (!node.told) this.enqueue(node, () => (node.told ? Promise.resolve() : this.ask(node)));
    const devices = nodes.map(({ connection: { peer } }) => ({ tenantId: peer.tenantId, nodeId: peer.deviceId }));
    const rows = await this.ports.pairings.find(devices);
    for (const node of nodes) {
      const { tenantId, deviceId } = node.connection.peer;
      const row = rows.find(({ tenant_id, node_id }) => tenant_id === tenantId && node_id === deviceId);
      if (row && node.told && isNews(node, row)) this.enqueue(node, () => this.tell(node, row));
    }
    return { more: false };
  }

  /** Tells the node, and nobody else, how its pairing stands. */
  private async tell(node: SeatedNode, row: PairingRow): Promise<void> {
    const { connection } = node;
    if (!connection.link.isOpen) return;
    const isOwn = row.token_id === connection.peer.tokenId;
    if (isOwn && row.token_used_at === null)
      await this.ports.pairings.confirm(row.tenant_id, row.node_id, row.token_id);
    const scoped_token = isOwn || node.isProvided ? undefined : await this.ports.pairings.token(row);
    if (scoped_token !== undefined) node.isProvided = true;
    if (isNews(node, row) || scoped_token !== undefined) {
      const payload = { pairing: toPairing(row), ...(scoped_token === undefined ? {} : { scoped_token }) };
      connection.link.send(JSON.stringify(this.event(row.node_id, payload)));
    }
    node.told = { status: row.status, updated_at: row.updated_at };
    if (row.status === 'denied' || row.status === 'revoked') {
      this.noteRefusal(connection, { reason: 'pairing', subject: row.status });
      connection.link.close(CloseCode.Unauthorized, `the pairing was ${row.status}`);
    }
  }

  private noteRefusal({ peer }: Connection, why: Pick<Refusal, 'reason' | 'subject'>): void {
    const { tenantId, tokenId } = peer;
    this.ports.audit.note({ type: 'authz.denied', tenantId, tokenId, door: 'ws', ...why });
  }

  private event(nodeId: string, payload: object): object {
    return {
      event_id: this.ports.newId(),
      type: 'pairing.updated',
      occurred_at: new Date(this.ports.nowMs()).toISOString(),
      scope: { kind: 'node', node_id: nodeId },
      payload,
    };
  }

  private enqueue(node: SeatedNode, work: () => Promise<void>): void {
    node.turn = node.turn.then(work).catch((error: unknown) => {
      // Without `told`, or with old news in it, the next look tries again.
      this.ports.logger.warn({ err: error }, 'a node could not be told of its pairing; trying again');
    });
  }
}

function isNews({ told }: SeatedNode, row: PairingRow): boolean {
  return told?.status !== row.status || told.updated_at !== row.updated_at;
}
