import type { Backplane } from '@tyrum/backplane';
import { StoredBytesExceededError, type ArtifactStore } from '@tyrum/evidence';
import type { IdempotencyKey } from '@tyrum/idempotency';
import type { Dispatches } from '@tyrum/nodes';
import { evidenceFileOf, isUuid, type AttemptEvidencePayload, type JsonValue } from '@tyrum/protocol';
import { notFound, RefusedError } from '../failures';
import type { Once } from './once';

export interface EvidencePorts {
  readonly dispatches: Dispatches;
  readonly once: Once;
  readonly backplane: Backplane;
  readonly artifacts: ArtifactStore;
}

/** Keeps what nodes saw while they executed, as artifacts of the turn. */
export class NodeEvidence {
  constructor(private readonly ports: EvidencePorts) {}

  /**
   * The turn goes on without what there is no room for: the node is told, and so is whoever watches the turn.
   * @throws {WireError} not_found for what this node was not asked
   * @throws {KeyReusedError} {BlobStoreFullError} {StoredBytesExceededError}
   */
  async keep(key: IdempotencyKey, nodeId: string, payload: AttemptEvidencePayload): Promise<undefined> {
    const { dispatches, once, artifacts, backplane } = this.ports;
    const { dispatch_id: id } = payload;
    const dispatch = isUuid(id) ? await dispatches.find(key.tenantId, id) : undefined;
    if (!dispatch) throw notFound('dispatch');
    if (dispatch.node_id !== nodeId) throw new RefusedError('other_node', 'not_found', notFound('dispatch').message);
    const { described, bytes } = fileOf(payload.evidence, dispatch.step_index);
    const about = {
      tenantId: key.tenantId,
      turnId: dispatch.turn_id,
      stepIndex: dispatch.step_index,
      ...described,
    };
    // The bytes come before the transaction: nothing but the database is waited for inside of one.
    if (await once.earlier(key)) return undefined;
    const record = await artifacts.putBytes(about, bytes).catch(async (error) => {
      if (error instanceof StoredBytesExceededError) {
        await artifacts.tellRefused(about, error);
        backplane.publish('outbox');
      }
      throw error;
    });
    let isInserted = false;
    try {
      const { replayed } = await once.run(key, async (tx) => {
        const { artifact_id } = await artifacts.insert(tx, record);
        return { artifact_id };
      });
      isInserted = !replayed;
    } finally {
      if (!isInserted) await artifacts.abandon(record);
    }
    backplane.publish('outbox');
    return undefined;
  }
}

/** A file is kept as what it is, everything else as the JSON that came. */
function fileOf(evidence: JsonValue, stepIndex: number) {
  const file = evidenceFileOf(evidence);
  if (file) {
    const { kind, filename, mime_type: mimeType } = file;
    return { described: { kind, filename, mimeType }, bytes: Buffer.from(file.content_base64, 'base64') };
  }
  const described = { kind: 'other', filename: `evidence-${stepIndex}.json`, mimeType: 'application/json' } as const;
  return { described, bytes: Buffer.from(JSON.stringify(evidence)) };
}
