import type { Statement } from '@tyrum/statestore';

/**
 * Makes artifacts of no turn belong to one. Takes tenant, turn and a JSON list of artifact ids; answers which changed.
 * Touches: artifact.
 */
export const attachArtifacts: Statement = {
  name: 'attach-artifacts',
  postgres: `update artifact set turn_id = $2::uuid
    where tenant_id = $1::uuid and turn_id is null
      and artifact_id in (select value::uuid from json_array_elements_text($3::json))
    returning artifact_id`,
  sqlite: `update artifact set turn_id = ?2
    where tenant_id = ?1 and turn_id is null and artifact_id in (select value from jsonb_each(?3))
    returning artifact_id`,
};

/**
 * Which artifacts a reader may read. Takes tenant, token (or null) and a JSON list of artifact ids.
 * Touches: artifact.
 */
export const findReadable: Statement = {
  name: 'find-readable-artifacts',
  postgres: `select artifact_id from artifact
    where tenant_id = $1::uuid and (turn_id is not null or uploaded_by = $2::uuid)
      and artifact_id in (select value::uuid from json_array_elements_text($3::json))`,
  sqlite: `select artifact_id from artifact
    where tenant_id = ?1 and (turn_id is not null or uploaded_by = ?2)
      and artifact_id in (select value from jsonb_each(?3))`,
};
