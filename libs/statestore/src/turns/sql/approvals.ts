import { portable } from '../../portable';
import type { Dialect, Statement } from '../../state-store';

/**
 * Asks for an approval; asking again under the same key changes nothing. Parameters: id, tenant, key, kind, prompt, motivation,
 * context (JSON), conversation, turn, step, hash, time to live in ms. Touches: approval.
 */
export const insertApproval = portable(
  'insert-approval',
  `insert into approval (approval_id, tenant_id, approval_key, kind, status, prompt, motivation, context, conversation_key,
    turn_id, step_index, binding_hash, created_at, expires_at)
  values ($1, $2, $3, $4, 'awaiting_human', $5, $6, $7, $8, $9, $10, $11, {now}, {now} + $12::bigint)
  on conflict (tenant_id, approval_key) do nothing returning *`,
);

/** One approval. Parameters: tenant, id. Touches: approval. */
export const findApproval = portable(
  'find-approval',
  `select a.*, (expires_at <= {now}) as is_late from approval a where tenant_id = $1 and approval_id = $2`,
);

/** The same, locked until the transaction ends. Parameters: tenant, id. Touches: approval. */
export const holdApproval: Statement = {
  name: 'hold-approval',
  postgres: `${findApproval.postgres} for update`,
  sqlite: findApproval.sqlite,
};

/** Whether this attempt of the step is the one that was approved. Parameters: tenant, turn, step, attempt, hash. Touches: approval. */
export const findConsumed = portable(
  'find-consumed-approval',
  `select approval_id from approval
  where tenant_id = $1 and turn_id = $2 and step_index = $3 and consumed_attempt = $4 and binding_hash = $5
    and status = 'approved' limit 1`,
);

/**
 * Uses an approval up: for this attempt, of exactly what was shown, once. Parameters: tenant, id, hash, attempt. Touches: approval.
 */
export const consumeApproval = portable(
  'consume-approval',
  `update approval set consumed_at = {now}, consumed_attempt = $4
  where tenant_id = $1 and approval_id = $2 and binding_hash = $3 and status = 'approved' and consumed_at is null
  returning approval_id`,
);

/**
 * Settles an approval that waits. Parameters: tenant, id, status, review (JSON), whether that was its one use. Touches: approval.
 */
export const settleApproval = portable(
  'settle-approval',
  `update approval set status = $3, latest_review = $4, decided_at = {now}, consumed_at = case when $5::boolean then {now} end
  where tenant_id = $1 and approval_id = $2 and status = 'awaiting_human' returning *`,
);

/** What a turn still waits for is void. Parameters: tenant, turn, status. Touches: approval. */
export const voidApprovals = portable(
  'void-approvals',
  `update approval set status = $3, decided_at = {now}
  where tenant_id = $1 and turn_id = $2 and status = 'awaiting_human' returning *`,
);

/**
 * A tenant's approvals, newest first. Parameters: tenant, statuses and kinds (JSON lists; null = all), conversation or null, turn or
 * null, the place after which to go on (creation, id; null = the beginning), limit. Touches: approval.
 */
export const listApprovals: Statement = { name: 'list-approvals', postgres: list('postgres'), sqlite: list('sqlite') };

function list(dialect: Dialect): string {
  const pg = dialect === 'postgres';
  const among = (column: string, n: number) =>
    pg
      ? `($${n}::text is null or ${column} in (select json_array_elements_text($${n}::json)))`
      : `(?${n} is null or ${column} in (select value from jsonb_each(?${n})))`;
  const text = (n: number) => (pg ? `$${n}::text` : `?${n}`);
  const [uuid, at, id, limit] = pg ? ['$5::uuid', '$6::bigint', '$7::uuid', '$8'] : ['?5', '?6', '?7', '?8'];
  return `select a.*, false as is_late from approval a
    where tenant_id = ${pg ? '$1' : '?1'} and ${among('status', 2)} and ${among('kind', 3)}
      and (${text(4)} is null or conversation_key = ${text(4)}) and (${uuid} is null or turn_id = ${uuid})
      and (${at} is null or (created_at, approval_id) < (${at}, ${id}))
    order by created_at desc, approval_id desc limit ${limit}`;
}

/** A standing answer. Parameters: id, tenant, tool, pattern, workspace or null, who. Touches: policy_override. */
export const insertOverride = portable(
  'insert-override',
  `insert into policy_override (policy_override_id, tenant_id, tool_id, pattern, workspace_id, status, created_by, created_at)
  values ($1, $2, $3, $4, $5, 'active', $6, {now}) returning *`,
);

/**
 * The standing answers of a tenant, newest first. Parameters: tenant, the last page's last created_at or null and id, limit.
 * Touches: policy_override.
 */
export const listOverrides = portable(
  'list-overrides',
  `select * from policy_override where tenant_id = $1
    and ($2::bigint is null or (created_at, policy_override_id) < ($2::bigint, $3::uuid))
  order by created_at desc, policy_override_id desc limit $4`,
);

/** The standing answers that hold. Parameters: tenant, limit. Touches: policy_override. */
export const activeOverrides = portable(
  'active-overrides',
  `select * from policy_override where tenant_id = $1 and status = 'active' and (expires_at is null or expires_at > {now})
  order by created_at, policy_override_id limit $2`,
);

/** Parameters: tenant, id. Touches: policy_override. */
export const revokeOverride = portable(
  'revoke-override',
  `update policy_override set status = 'revoked', revoked_at = {now}
  where tenant_id = $1 and policy_override_id = $2 and status = 'active' returning *`,
);

/** Forgets approvals settled so long ago, one bounded batch. Parameters: age in ms, limit. Touches: approval. */
export const pruneApprovals = portable(
  'prune-approvals',
  `delete from approval where approval_id in (
      select approval_id from approval where decided_at < (select {now} - $1::bigint)
      order by decided_at limit $2::bigint)
  returning approval_id`,
);
