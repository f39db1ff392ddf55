import { NOW_MS, portable, rowsOf, type Statement } from '@tyrum/statestore';
import { AUDIT_GENESIS } from '@tyrum/protocol';

const pending = { tenant_id: 'uuid', notes: 'text' } as const;

/** Keeps a commit's notes, a row a tenant. Takes the rows. Touches: audit_pending. */
export const insertPending: Statement = {
  name: 'insert-audit-pending',
  columns: Object.keys(pending),
  postgres: `insert into audit_pending (tenant_id, notes, noted_at)
    select tenant_id, notes, ${NOW_MS.postgres} from ${rowsOf(pending)} as n`,
  sqlite: `insert into audit_pending (tenant_id, notes, noted_at)
    select value ->> 'tenant_id', value ->> 'notes', ${NOW_MS.sqlite} from jsonb_each(?1)`,
};

/** Up to `$1` tenants that have notes which are not in their chain. Touches: audit_pending. */
export const findPendingTenants = portable(
  'find-audit-pending-tenants',
  'select distinct tenant_id from audit_pending limit $1::bigint',
);

/** A row if a tenant has notes that are not in its chain. Touches: audit_pending. */
export const isPending = portable(
  'is-audit-pending',
  'select 1 as pending from audit_pending where tenant_id = $1 limit 1',
);

/**
 * Locks the end of a tenant's chain until the transaction ends, and returns it; the first one begins it. Touches: audit_head.
 */
export const holdHead = portable(
  'hold-audit-head',
  `insert into audit_head as h (tenant_id, seq, hash) values ($1, 0, '${AUDIT_GENESIS}')
    on conflict (tenant_id) do update set seq = h.seq
    returning seq, hash, sealed_seq, sealed, checkpoint_seq, checkpoint`,
);

/**
 * Takes up to `$2` rows of a tenant's notes away, in no order. The caller holds the tenant's head, so nobody else takes them.
 * Touches: audit_pending.
 */
export const takePending = portable(
  'take-audit-pending',
  `delete from audit_pending where tenant_id = $1 and pending_id in (
    select pending_id from audit_pending where tenant_id = $1 order by pending_id limit $2::bigint)
    returning pending_id, notes, noted_at`,
);

const entry = {
  seq: 'bigint',
  at: 'bigint',
  type: 'text',
  actor: 'text',
  subject: 'text',
  detail: 'text',
  hash: 'text',
} as const;

/** Appends to a tenant's chain. Parameters: the tenant, the rows. Touches: audit_entry. */
export const insertEntries: Statement = {
  name: 'insert-audit-entries',
  columns: Object.keys(entry),
  postgres: `insert into audit_entry (tenant_id, seq, at, type, actor, subject, detail, hash)
    select $1::uuid, seq, at, type, actor, subject, detail, hash from ${rowsOf(entry, 2)} as e`,
  sqlite: `insert into audit_entry (tenant_id, seq, at, type, actor, subject, detail, hash)
    select ?1, value ->> 'seq', value ->> 'at', value ->> 'type', value ->> 'actor', value ->> 'subject',
      value ->> 'detail', value ->> 'hash' from jsonb_each(?2)`,
};

/** Moves the end of a tenant's chain. Touches: audit_head. */
export const advanceHead = portable(
  'advance-audit-head',
  'update audit_head set seq = $2::bigint, hash = $3 where tenant_id = $1',
);
