import type { Backplane } from '@tyrum/backplane';
import type { IdempotencyKey } from '@tyrum/idempotency';
import type { Dispatches } from '@tyrum/nodes';
import { appendEvents } from '@tyrum/outbox';
import { isUuid, WireError, type AttemptEvidencePayload } from '@tyrum/protocol';
import { notFound } from '../failures';
import type { ArtifactsPort } from '../ports';
import type { Once } from './once';

export interface EvidencePorts {
  readonly dispatches: Dispatches;
  readonly once: Once;
  readonly backplane: Backplane;
  readonly artifacts: ArtifactsPort | undefined;
  readonly newId: () => string;
  readonly nowMs: () => number;
}

/** Keeps what nodes saw while they executed, as artifacts of the turn. */
export class NodeEvidence {
  constructor(private readonly ports: EvidencePorts) {}

  /** @throws {WireError} not_found for what this node was not asked @throws {KeyReusedError} */
  async keep(key: IdempotencyKey, nodeId: string, payload: AttemptEvidencePayload): Promise<undefined> {
    const { dispatches, once, artifacts, backplane } = this.ports;
    if (!artifacts?.keep) throw new WireError('not_found', 'attempt.evidence is not served by this gateway');
    const { dispatch_id: id } = payload;
    const dispatch = isUuid(id) ? await dispatches.find(key.tenantId, id) : undefined;
    if (dispatch?.node_id !== nodeId) throw notFound('dispatch');
    const about = {
      tenantId: key.tenantId,
      turnId: dispatch.turn_id,
      stepIndex: dispatch.step_index,
      kind: 'other',
      filename: `evidence-${dispatch.step_index}.json`,
      mimeType: 'application/json',
    } as const;
    // The bytes come before the transaction: nothing but the database is waited for inside of one.
    const insert = await artifacts.keep(about, Buffer.from(JSON.stringify(payload.evidence)));
    await once.run(key, async (tx) => {
      const artifact = await insert(tx);
      const event = {
        eventId: this.ports.newId(),
        tenantId: key.tenantId,
        type: 'artifact.attached',
        scope: { kind: 'turn', id: dispatch.turn_id },
        turnId: dispatch.turn_id,
        payload: { artifact, turn_id: dispatch.turn_id },
        occurredAt: this.ports.nowMs(),
      } as const;
      await appendEvents(tx, [event]);
      return { artifact_id: artifact.artifact_id };
    });
    backplane.publish('outbox');
    return undefined;
  }
}
