import type { Backplane } from '@tyrum/backplane';
import { noteAudit } from '@tyrum/evidence';
import type { PairingDecision, Pairings, PeerDirectory } from '@tyrum/nodes';
import type {
  NodeList,
  NodeView,
  PageQuery,
  Pairing,
  PairingList,
  PairingListQuery,
  PairingStatus,
  PresenceList,
} from '@tyrum/protocol';
import { BY_DEVICE, BY_NUMBER, readPage } from './list-cursor';
import type { Answered, Once, RequestKey } from './once';

export interface NodePairingPorts {
  readonly pairings: Pairings;
  readonly peers: PeerDirectory;
  readonly backplane: Backplane;
  readonly once: Once;
}

const AUDITED = { approve: 'pairing.approved', deny: 'pairing.denied', revoke: 'pairing.revoked' } as const;

/** Who may be a node, who is one, and who is there; for the WebSocket and for HTTP alike. */
export class NodePairings {
  constructor(private readonly ports: NodePairingPorts) {}

  /** @throws {WireError} not_found, conflict @throws {KeyReusedError} */
  async decide(
    key: RequestKey,
    pairingId: number,
    { reason, ...decision }: PairingDecision & { readonly reason?: string | undefined },
  ): Promise<Answered<{ pairing: Pairing }>> {
    const { pairings, once, backplane } = this.ports;
    const decider = { by: key.principal, ...(reason === undefined ? {} : { reason }) };
    const done = await once.run(key, async (tx) => {
      const pairing = await pairings.decideIn(tx, key.tenantId, pairingId, { ...decision, decider });
      const detail = { node_id: pairing.node.node_id, allowlist: pairing.capability_allowlist };
      const note = { tenantId: key.tenantId, type: AUDITED[decision.kind], actor: key.actor, detail };
      await noteAudit(tx, [{ ...note, subject: `pairing:${pairingId}` }]);
      return { pairing };
    });
    backplane.publish('nodes');
    backplane.publish('outbox');
    return done;
  }

  /** Newest first. @throws {ContractError} for a cursor that is none of ours */
  async list(tenantId: string, { statuses, ...query }: PairingListQuery): Promise<PairingList> {
    const { rows, next } = await this.page(tenantId, query, statuses);
    return { pairings: rows, ...next };
  }

  /** Who is connected to any edge. @throws {ContractError} for a cursor that is none of ours */
  async presence(tenantId: string, query: PageQuery): Promise<PresenceList> {
    const { rows, next } = await readPage(query, BY_DEVICE, {
      read: (page) => this.ports.peers.list(tenantId, page),
      placeOf: ({ instance_id }) => instance_id,
    });
    return { entries: rows, ...next };
  }

  /** The approved nodes, with whether they are connected anywhere. @throws {ContractError} as `list` does */
  async nodes(tenantId: string, query: PageQuery): Promise<NodeList> {
    const { rows, next } = await this.page(tenantId, query, ['approved']);
    const ids = rows.map(({ node }) => node.node_id);
    const capabilities = await this.ports.peers.capabilitiesOf(tenantId, ids);
    const nodes = rows.map(({ node, pairing_id, trust_level, capability_allowlist }): NodeView => ({
      ...node,
      pairing_id,
      ...(trust_level === undefined ? {} : { trust_level }),
      status: capabilities.has(node.node_id) ? 'online' : 'offline',
      capabilities: capabilities.get(node.node_id) ?? node.capabilities,
      capability_allowlist,
    }));
    return { nodes, ...next };
  }

  private page(tenantId: string, query: PageQuery, statuses?: readonly PairingStatus[]) {
    return readPage(query, BY_NUMBER, {
      read: (page) => this.ports.pairings.list(tenantId, { ...page, ...(statuses ? { statuses } : {}) }),
      placeOf: ({ pairing_id }: Pairing) => pairing_id,
    });
  }
}
