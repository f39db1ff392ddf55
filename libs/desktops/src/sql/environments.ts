import { NOW_MS, portable, type Statement } from '@tyrum/statestore';
import { DESKTOP_HOST_LEASE_KIND } from '../desktop-hosts';

const COLUMNS = `tenant_id, environment_id, label, host_id, width, height, desired, status, node_id, error, generation, placement,
  created_at, updated_at`;

/** Whether a process holds the lease on an environment's host now. */
const hostIsOnline = (now: string) => `exists (select 1 from lease l where l.kind = '${DESKTOP_HOST_LEASE_KIND}'
  and l.name = e.host_id and l.owner is not null and l.expires_at > ${now}) as host_is_online`;

/** Parameters: tenant, id, label, host, width, height, desired, status, limit of a tenant. No row: there are too many. Touches: desktop_environment. */
export const insertEnvironment = portable(
  'insert-desktop-environment',
  `insert into desktop_environment (${COLUMNS})
  select $1::uuid, $2::uuid, $3::text, $4::text, $5::int, $6::int, $7::text, $8::text, null, null, 1, 1, {now}, {now}
  where (select count(*) from desktop_environment where tenant_id = $1::uuid and desired <> 'absent') < $9
  returning environment_id`,
);

/** A tenant's, oldest first. Parameters: tenant. Touches: desktop_environment, lease. */
export const listEnvironments: Statement = {
  name: 'list-desktop-environments',
  postgres: `select ${COLUMNS}, ${hostIsOnline(`(select ${NOW_MS.postgres})`)} from desktop_environment e
    where tenant_id = $1 and desired <> 'absent' order by created_at, environment_id`,
  sqlite: `select ${COLUMNS}, ${hostIsOnline(NOW_MS.sqlite)} from desktop_environment e
    where tenant_id = ?1 and desired <> 'absent' order by created_at, environment_id`,
};

/** One of them, locked on Postgres until the transaction ends. Parameters: tenant, id. Touches: desktop_environment, lease. */
export const holdEnvironment: Statement = {
  name: 'hold-desktop-environment',
  postgres: `select ${COLUMNS}, ${hostIsOnline(`(select ${NOW_MS.postgres})`)} from desktop_environment e
    where tenant_id = $1 and environment_id = $2 and desired <> 'absent' for update of e`,
  sqlite: `select ${COLUMNS}, ${hostIsOnline(NOW_MS.sqlite)} from desktop_environment e
    where tenant_id = ?1 and environment_id = ?2 and desired <> 'absent'`,
};

/** Parameters: host. Touches: desktop_host. */
export const knowsHost = portable('knows-desktop-host', 'select host_id from desktop_host where host_id = $1');

/**
 * What an operator wants from now on. Nobody answers for one that no host has, so that it stops at once. Parameters: tenant, id,
 * desired. Touches: desktop_environment.
 */
export const wantEnvironment = portable(
  'want-desktop-environment',
  `update desktop_environment set desired = $3, generation = generation + 1, error = null, updated_at = {now},
    status = case when $3 = 'running' and status in ('stopped', 'failed') then 'pending'
      when $3 = 'stopped' and host_id is null then 'stopped' else status end
  where tenant_id = $1 and environment_id = $2`,
);

/** Parameters: tenant, id, host or null. Touches: desktop_environment. */
export const moveEnvironment = portable(
  'move-desktop-environment',
  `update desktop_environment set host_id = $3, generation = generation + 1, placement = placement + 1, node_id = null,
    error = null, updated_at = {now}, status = case when desired = 'running' then 'pending' else 'stopped' end
  where tenant_id = $1 and environment_id = $2`,
);

/** Parameters: tenant, id. Touches: desktop_environment. */
export const dropUnplaced = portable(
  'drop-unplaced-desktop-environment',
  'delete from desktop_environment where tenant_id = $1 and environment_id = $2 and host_id is null',
);

/** What a host has, and what nobody has yet. Parameters: host. Touches: desktop_environment. */
export const findHostsWork = portable(
  'find-desktop-hosts-work',
  `select ${COLUMNS} from desktop_environment where host_id = $1 or (host_id is null and desired = 'running')
  order by created_at, environment_id`,
);

/** Takes up what nobody has yet. Parameters: host, how many, tenant. Touches: desktop_environment. */
export const takeUpEnvironments: Statement = {
  name: 'take-up-desktop-environments',
  postgres: `update desktop_environment set host_id = $1, updated_at = ${NOW_MS.postgres} where (tenant_id, environment_id) in (
    select tenant_id, environment_id from desktop_environment where host_id is null and desired = 'running' and tenant_id = $3
    order by created_at limit $2 for update skip locked) returning ${COLUMNS}`,
  sqlite: `update desktop_environment set host_id = ?1, updated_at = ${NOW_MS.sqlite} where (tenant_id, environment_id) in (
    select tenant_id, environment_id from desktop_environment where host_id is null and desired = 'running' and tenant_id = ?3
    order by created_at limit ?2) returning ${COLUMNS}`,
};

/**
 * What a host says of one it has. No row: an operator has said something since, or it has gone elsewhere. Parameters: tenant, id,
 * host, generation, status, error. Touches: desktop_environment.
 */
export const noteEnvironment = portable(
  'note-desktop-environment',
  `update desktop_environment set status = $5, error = $6, updated_at = {now}
  where tenant_id = $1 and environment_id = $2 and host_id = $3 and generation = $4 and desired <> 'absent'
  returning environment_id`,
);

/**
 * Which node a desktop is, before that node may do anything. No row: it has gone elsewhere, or is not wanted any more. Parameters:
 * tenant, id, host, placement, node. Touches: desktop_environment.
 */
export const nameNode = portable(
  'name-desktops-node',
  `update desktop_environment set node_id = $5, updated_at = {now}
  where tenant_id = $1 and environment_id = $2 and host_id = $3 and placement = $4 and desired = 'running'
  returning environment_id`,
);

/** One that was deleted, and of which its host has nothing left. Parameters: tenant, id, host. Touches: desktop_environment. */
export const dropEnvironment = portable(
  'drop-desktop-environment',
  `delete from desktop_environment where tenant_id = $1 and environment_id = $2 and host_id = $3 and desired = 'absent'`,
);
