import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Notes losses that their holders have found out, each once. Parameters: JSON list of {kind, name, token}, owner.
 * Touches: lease_history.
 */
const columns = `insert into lease_history (kind, name, token, owner, taken_from, reason, at)`;
const unlessNoted = `not exists (
    select 1 from lease_history h where h.kind = lost.kind and h.name = lost.name and h.token = lost.token
      and h.owner = lost.owner and h.reason in ('released', 'lost'))`;

export const noteLostLeases: Statement = {
  name: 'note-lost-leases',
  postgres: `${columns}
    select kind, name, token, owner, null, 'lost', ${NOW_MS.postgres}
    from (select kind, name, token, $2 as owner
      from json_to_recordset($1::json) as l(kind text, name text, token bigint)) as lost
    where ${unlessNoted}`,
  sqlite: `${columns}
    select kind, name, token, owner, null, 'lost', ${NOW_MS.sqlite}
    from (select value ->> 'kind' as kind, value ->> 'name' as name, value ->> 'token' as token, ?2 as owner
      from jsonb_each(?1)) as lost
    where ${unlessNoted}`,
};
