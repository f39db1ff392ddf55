/** One arrival is for every turn that waits for it, so turns are found by what they wait for. */
export const waitersPostgres: readonly string[] = [
  `create index turn_by_wait on turn (tenant_id, wait_kind, wait_id) where wait_id is not null`,
];
