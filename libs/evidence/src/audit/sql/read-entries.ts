import { portable, type Statement } from '@tyrum/statestore';

const COLUMNS = 'seq, at, type, actor, subject, detail, hash';

/** Up to `$4` entries of a tenant behind `$2` and up to `$3`, in their order. Touches: audit_entry. */
export const readEntries = portable(
  'read-audit-entries',
  `select ${COLUMNS} from audit_entry where tenant_id = $1 and seq > $2::bigint and seq <= $3::bigint
    order by seq limit $4::bigint`,
);

/** What a list may ask for. Each of them, and none, is a statement of its own: so each is planned for its own index. */
export const FILTERS = ['type', 'actor', 'subject'] as const;

const lists = new Map<string, Statement>();

/** Up to `$3` entries of a tenant before `$2`, newest first; from `$4` on what the filters must be. Touches: audit_entry. */
export function listEntries(filters: readonly (typeof FILTERS)[number][]): Statement {
  const name = ['list-audit-entries', ...filters].join('-');
  const where = filters.map((column, i) => ` and ${column} = $${i + 4}`).join('');
  const text = `select ${COLUMNS} from audit_entry where tenant_id = $1 and seq < $2::bigint${where}
    order by seq desc limit $3::bigint`;
  const known = lists.get(name) ?? portable(name, text);
  lists.set(name, known);
  return known;
}

/** The end of a tenant's chain, unlocked. Touches: audit_head. */
export const readHead = portable(
  'read-audit-head',
  'select seq, hash, sealed_seq, sealed, checkpoint_seq, checkpoint from audit_head where tenant_id = $1',
);

/** Up to `$1` tenants whose chain has grown since somebody signed it. Touches: audit_head. */
export const findUnsealed = portable(
  'find-unsealed-audit-heads',
  'select tenant_id from audit_head where seq > sealed_seq limit $1::bigint',
);

/** Keeps what was signed, unless a later head was meanwhile. Touches: audit_head. */
export const keepSeal = portable(
  'keep-audit-seal',
  'update audit_head set sealed_seq = $2::bigint, sealed = $3 where tenant_id = $1 and sealed_seq <= $2::bigint',
);

/** Tenants whose oldest entry is older than `$1` ms and covered by a signed head. Touches: audit_head, audit_entry. */
export const findAged = portable(
  'find-aged-audit',
  `select h.tenant_id from audit_head h join audit_entry e on e.tenant_id = h.tenant_id and e.seq = h.checkpoint_seq + 1
    where e.at < {now} - $1::bigint and e.seq <= h.sealed_seq`,
);

/** The oldest entries of a tenant, up to `$3`, that are older than `$2` ms. Touches: audit_entry. */
export const readAged = portable(
  'read-aged-audit',
  `select seq, hash, case when at < {now} - $2::bigint then 1 else 0 end as aged from audit_entry where tenant_id = $1
    order by seq limit $3::bigint`,
);

/** Touches: audit_head. */
export const keepCheckpoint = portable(
  'keep-audit-checkpoint',
  'update audit_head set checkpoint_seq = $2::bigint, checkpoint = $3 where tenant_id = $1',
);

/** Touches: audit_entry. */
export const deleteThrough = portable(
  'delete-audit-through',
  'delete from audit_entry where tenant_id = $1 and seq <= $2::bigint',
);
