/**
 * The primary key's columns the other way round. It began with `tenant_id`, as the index by place does, and its entries are shorter. With
 * 150 turns and no statistics it is one page where the other has two, so that a walk through all turns of a tenant looked cheaper
 * than the look for those of one conversation; a prepared claim kept that plan while the table grew (14 ms instead of 0.6). Now
 * it serves nobody who does not know the turn. SQLite has no such choice to make. A binary of the revision before goes on working.
 */
export const turnKeyPostgres: readonly string[] = [
  'alter table turn drop constraint turn_pkey, add primary key (turn_id, tenant_id)',
];
