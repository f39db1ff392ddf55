import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * A tenant's conversations that are under a lease, the one that runs out first in front, with its state by the database's
 * clock. Parameters: tenant, limit. Touches: conversation_queue.
 */
const columns = (
  now: string,
) => `select conversation_key, lease_owner, lease_token, leased_at, due_at as expires_at, takeovers,
    due_at > ${now} as held
  from conversation_queue where state = 'leased' and tenant_id = `;

export const listConversationLeases: Statement = {
  name: 'list-conversation-leases',
  postgres: `${columns(NOW_MS.postgres)} $1 order by due_at, conversation_key limit $2`,
  sqlite: `${columns(NOW_MS.sqlite)} ?1 order by due_at, conversation_key limit ?2`,
};
