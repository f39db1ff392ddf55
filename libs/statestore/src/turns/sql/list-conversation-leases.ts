import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * A tenant's conversations that are under a lease, by their keys, with its state by the database's clock. They are found among
 * all that are under a lease, which are as many as workers run: a tenant may have a million others. Parameters: tenant, the last
 * page's last key or null, limit. Touches: conversation_queue.
 */
const columns = (
  now: string,
) => `conversation_key, lease_owner, lease_token, leased_at, due_at as expires_at, takeovers,
    due_at > ${now} as held`;

export const listConversationLeases: Statement = {
  name: 'list-conversation-leases',
  postgres: `with leased as materialized (
      select ${columns(NOW_MS.postgres)} from conversation_queue where state = 'leased' and tenant_id = $1)
    select * from leased where $2::text is null or conversation_key > $2::text order by conversation_key limit $3`,
  // With a plus sign a column is no reason to take an index.
  sqlite: `select ${columns(NOW_MS.sqlite)} from conversation_queue where state = 'leased' and +tenant_id = ?1
    and (?2 is null or +conversation_key > ?2) order by +conversation_key limit ?3`,
};
