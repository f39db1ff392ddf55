import type { PeerRegistry } from '@tyrum/nodes';
import { WireError, type PresenceBeaconPayload, type PresenceBeaconResult } from '@tyrum/protocol';
import type { NodeEvidence } from '../operations/node-evidence';
import type { NodePairings } from '../operations/node-pairings';
import type { Connection } from './connection';
import type { NodeDesk } from './node-desk';
import type { RequestHandlers } from './request-handlers';

export interface NodeHandlerPorts {
  readonly nodes: NodePairings;
  readonly desk: NodeDesk;
  readonly registry: PeerRegistry;
  readonly evidence: NodeEvidence;
}

/** The requests about nodes, and those that nodes send. */
export function nodeHandlers({ nodes, desk, registry, evidence }: NodeHandlerPorts): RequestHandlers {
  return {
    'pairing.approve': async ({ key }, { pairing_id, trust_level, capability_allowlist, reason }) => {
      const allowlist = capability_allowlist.map(({ id, version }) => ({ id, version }));
      const decision = { kind: 'approve', trustLevel: trust_level, allowlist, reason } as const;
      return (await nodes.decide(key(), pairing_id, decision)).answer;
    },
    'pairing.deny': async ({ key }, { pairing_id, reason }) =>
      (await nodes.decide(key(), pairing_id, { kind: 'deny', reason })).answer,
    'pairing.revoke': async ({ key }, { pairing_id, reason }) =>
      (await nodes.decide(key(), pairing_id, { kind: 'revoke', reason })).answer,
    'presence.beacon': ({ connection }, payload) => noteBeacon(registry, connection, payload),
    'attempt.evidence': ({ key, connection }, payload) => evidence.keep(key(), connection.peer.deviceId, payload),
    'capability.ready': ({ connection }, payload) => desk.ready(connection, payload),
  };
}

function noteBeacon(
  registry: PeerRegistry,
  { peer: { connectionId } }: Connection,
  payload: PresenceBeaconPayload,
): PresenceBeaconResult {
  const known = registry.get(connectionId);
  if (!known) throw new WireError('conflict', 'the connection is closing');
  return { entry: registry.put({ ...known, beacon: { ...payload, reason: 'periodic' } }) };
}
