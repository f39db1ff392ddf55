import { rowsOf, type Statement } from '@tyrum/statestore';

const columns = { tenant_id: 'uuid', events: 'text', occurred_at: 'bigint' } as const;

/** Columns of the version before that must hold something on SQLite; Postgres has defaults for them. */
const emptied = `'', '', 'global', ''`;

/**
 * Appends rows of events, in their order, in the transaction of the change they describe. Postgres stamps each row with that
 * transaction's id. Touches: outbox.
 */
export const appendEventRows: Statement = {
  name: 'append-events',
  columns: Object.keys(columns),
  postgres: `insert into outbox (tenant_id, events, occurred_at)
    select tenant_id, events, occurred_at from ${rowsOf(columns)} as e`,
  sqlite: `insert into outbox (tenant_id, events, occurred_at, event_id, type, scope_kind, payload)
    select value ->> 'tenant_id', value ->> 'events', value ->> 'occurred_at', ${emptied} from jsonb_each(?1)`,
};
