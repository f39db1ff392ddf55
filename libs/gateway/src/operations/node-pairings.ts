import type { Backplane } from '@tyrum/backplane';
import { noteAudit } from '@tyrum/evidence';
import type { PairingDecision, Pairings, PeerDirectory } from '@tyrum/nodes';
import type { NodeView, Pairing, PairingStatus, PresenceEntry } from '@tyrum/protocol';
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

  list(tenantId: string, statuses?: readonly PairingStatus[]): Promise<Pairing[]> {
    return this.ports.pairings.list(tenantId, statuses);
  }

  async presence(tenantId: string): Promise<PresenceEntry[]> {
    return (await this.ports.peers.list(tenantId)).entries;
  }

  /** The approved nodes, with whether they are connected anywhere. */
  async nodes(tenantId: string): Promise<NodeView[]> {
    const approved = await this.ports.pairings.list(tenantId, ['approved']);
    const { capabilities } = await this.ports.peers.list(tenantId);
    return approved.map(({ node, pairing_id, trust_level, capability_allowlist }) => ({
      ...node,
      pairing_id,
      ...(trust_level === undefined ? {} : { trust_level }),
      status: capabilities.has(node.node_id) ? 'online' : 'offline',
      capabilities: capabilities.get(node.node_id) ?? node.capabilities,
      capability_allowlist,
    }));
  }
}
