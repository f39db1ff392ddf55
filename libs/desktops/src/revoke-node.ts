import { noteAudit } from '@tyrum/evidence';
import type { Pairings } from '@tyrum/nodes';
import type { Tx } from '@tyrum/statestore';

/** Ends the trust in the node that a desktop was, inside the caller's transaction. Publish `nodes` after the commit. */
export async function revokeNode(
  tx: Tx,
  pairings: Pick<Pairings, 'findIn' | 'decideIn'>,
  { tenantId, nodeId, actor }: { readonly tenantId: string; readonly nodeId: string; readonly actor: string },
): Promise<void> {
  const [pairing] = await pairings.findIn(tx, [{ tenantId, nodeId }]);
  if (pairing?.status !== 'approved') return;
  const { pairing_id: id } = pairing;
  const decider = { by: actor, reason: 'its desktop is no longer there' };
  await pairings.decideIn(tx, tenantId, id, { kind: 'revoke', decider });
  const note = {
    tenantId,
    type: 'pairing.revoked',
    actor,
    subject: `pairing:${id}`,
    detail: { node_id: nodeId },
  } as const;
  await noteAudit(tx, [note]);
}
