import { rowsOf } from '../../row-lists';
import type { Statement } from '../../state-store';

const columns = { tenant_id: 'uuid', conversation_key: 'text', lease_token: 'bigint' } as const;

/**
 * The fence: locks those of the named hot rows that are still under the given lease token and returns them. A row that
 * is missing from the answer belongs to somebody else by now, and its holder must write nothing. A null token asks for
 * the row whoever holds it. The transaction's own id comes along, to ask for its fate if
 * COMMIT is cut off. Takes a list of rows. Touches: conversation_queue.
 */
export const holdConversations: Statement = {
  name: 'hold-conversations',
  columns: Object.keys(columns),
  postgres: `
    select q.*, pg_current_xact_id()::text as transaction_id from conversation_queue q
    join ${rowsOf(columns)} as held using (tenant_id, conversation_key)
    where held.lease_token is null or (q.lease_token = held.lease_token and q.state = 'leased')
    order by q.tenant_id, q.conversation_key
    for update of q`,
  sqlite: `
    select q.*, '' as transaction_id from jsonb_each(?1) held
    join conversation_queue q on q.tenant_id = held.value ->> 'tenant_id'
      and q.conversation_key = held.value ->> 'conversation_key'
    where held.value ->> 'lease_token' is null or (q.lease_token = held.value ->> 'lease_token' and q.state = 'leased')`,
};
