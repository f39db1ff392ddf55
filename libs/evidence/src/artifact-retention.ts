import { NOW_MS, TableWalk, type StateStore, type Statement } from '@tyrum/statestore';

interface OldArtifact {
  readonly tenant_id: string;
  readonly artifact_id: string;
  readonly created_at: number;
  readonly past: boolean | number;
}

/**
 * Artifacts older than an age, oldest first, and whether they are past: those of a turn go with it, the others by their
 * age. Parameters: created_at to go on from, age in ms, limit. Touches: artifact, turn.
 */
const find = (from: string, before: string, limit: string) => `
    select a.tenant_id, a.artifact_id, a.created_at, coalesce((
      select false from turn t where t.tenant_id = a.tenant_id and t.turn_id = a.turn_id limit 1), true) as past
    from artifact a where a.created_at >= ${from} and a.created_at < ${before} order by a.created_at limit ${limit}`;

const findOldArtifacts: Statement = {
  name: 'find-old-artifacts',
  postgres: find('$1::bigint', `(select ${NOW_MS.postgres} - $2::bigint)`, '$3'),
  sqlite: find('?1', `${NOW_MS.sqlite} - ?2`, '?3'),
};

/** Deletes artifacts' rows. Takes a JSON list of {tenant_id, artifact_id}. Touches: artifact. */
const deleteArtifacts: Statement = {
  name: 'delete-artifacts',
  postgres: `delete from artifact a using json_to_recordset($1::json) as x(tenant_id uuid, artifact_id uuid)
    where a.tenant_id = x.tenant_id and a.artifact_id = x.artifact_id returning a.artifact_id`,
  sqlite: `delete from artifact where (tenant_id, artifact_id) in
      (select value ->> 'tenant_id', value ->> 'artifact_id' from jsonb_each(?1)) returning artifact_id`,
};

/** Artifacts of no turn that is still there, so old. Their bytes are the blob sweep's. */
export function walkOldArtifacts(store: StateStore, olderThanMs: number): TableWalk<OldArtifact> {
  return new TableWalk<OldArtifact>({
    find: async (after, limit) => {
      // Behind a row that went, its moment is looked at again; behind one that stays it is not.
      const from = after ? after.created_at + (after.past ? 0 : 1) : 0;
      const params = [from, olderThanMs, limit];
      const rows = await store.read((db) => db.query<OldArtifact>(findOldArtifacts, params));
      return { rows, more: rows.length === limit };
    },
    remove: async (rows) => ({ artifact: (await store.execute(deleteArtifacts, [JSON.stringify(rows)])).length }),
  });
}
