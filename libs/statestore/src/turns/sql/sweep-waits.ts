import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Whether a wait (`w`) is over: its turn has ended or is gone and no other waits for the same, or it is an arrival that no
 * turn has come to wait for. While a turn is open all its waits are kept, those that are over too: a second arrival must find
 * the first.
 */
const over = `coalesce((select false from turn t where t.tenant_id = w.tenant_id and t.turn_id = w.turn_id
      and t.status in ('queued', 'running', 'paused') limit 1), true)
    and not exists (select 1 from turn t where t.tenant_id = w.tenant_id and t.wait_kind = w.kind and t.wait_id = w.wait_id
      and t.status = 'paused')`;

/** Waits older than an age, oldest first, and whether they are `past`. Parameters: created_at to go on from, age in ms, limit. Touches: wait, turn. */
const find = (from: string, before: string, limit: string) => `
    select w.tenant_id, w.kind, w.wait_id, w.created_at, ${over} as past
    from wait w where w.created_at >= ${from} and w.created_at < ${before} order by w.created_at limit ${limit}`;

export const findOldWaits: Statement = {
  name: 'find-old-waits',
  postgres: find('$1::bigint', `(select ${NOW_MS.postgres} - $2::bigint)`, '$3'),
  sqlite: find('?1', `${NOW_MS.sqlite} - ?2`, '?3'),
};

/** Deletes those that are still over, and returns them. Takes a JSON list of {tenant_id, kind, wait_id}. Touches: wait, turn. */
export const deleteWaits: Statement = {
  name: 'delete-waits',
  // A turn that began to wait since we looked has put its id into the row: `over` is asked of the row as it is now.
  postgres: `
    delete from wait w using json_to_recordset($1::json) as x(tenant_id uuid, kind text, wait_id text)
    where w.tenant_id = x.tenant_id and w.kind = x.kind and w.wait_id = x.wait_id and ${over}
    returning w.wait_id`,
  sqlite: `
    delete from wait as w where (tenant_id, kind, wait_id) in
      (select value ->> 'tenant_id', value ->> 'kind', value ->> 'wait_id' from jsonb_each(?1)) and ${over}
    returning wait_id`.trim(),
};
