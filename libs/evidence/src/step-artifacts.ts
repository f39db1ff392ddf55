import type { ArtifactRef } from '@tyrum/protocol';
import type { Reader } from '@tyrum/statestore';
import { Artifacts } from '@tyrum/statestore/records';
import { toRef } from './artifact-record';

/** Of one turn; more are in its list of artifacts. */
const SHOWN = 1_000;

/** Where an edge serves an artifact's bytes. */
export const artifactPath = (artifactId: string): string => `/v1/artifacts/${artifactId}/content`;

/** What the steps of a turn left, by their index, oldest first: long outputs, and what nodes saw. */
export async function readStepArtifacts(
  db: Reader,
  tenantId: string,
  turnId: string,
): Promise<Map<number, ArtifactRef[]>> {
  const rows = await db.records(Artifacts).find({
    where: { tenant_id: tenantId, turn_id: turnId },
    order: { created_at: 'ASC', artifact_id: 'ASC' },
    take: SHOWN,
  });
  const byStep = new Map<number, ArtifactRef[]>();
  for (const row of rows) {
    if (row.step_index === null) continue;
    byStep.set(row.step_index, [...(byStep.get(row.step_index) ?? []), toRef(row, artifactPath)]);
  }
  return byStep;
}
