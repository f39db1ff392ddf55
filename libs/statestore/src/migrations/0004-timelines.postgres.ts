/**
 * Which history the database is on. A standby that is promoted begins a new timeline, without whatever it had not
 * received; lease tokens carry the number so that they grow all the same (decision 0014). All of it is added: a binary of the
 * revision before goes on working, without that protection.
 */
export const timelinesPostgres: readonly string[] = [
  // `identity` is that of the cluster (`initdb` makes it, physical standbys share it). Data that moved to another cluster,
  // by dump or pg_upgrade, comes to one that counts from 1 again: `earlier` goes on where the one before had come.
  `create table server_timeline (
    only_row boolean primary key default true check (only_row),
    identity text not null,
    earlier bigint not null default 0,
    highest bigint not null,
    seen_at bigint not null
  )`,
  // A server that keeps its identity or its timeline to itself is taken for one that never changes.
  `do $do$ begin
    perform system_identifier from pg_control_system();
    create function server_identity() returns text language sql stable as
      'select system_identifier::text from pg_control_system()';
  exception when insufficient_privilege or undefined_function or feature_not_supported then
    create function server_identity() returns text language sql stable as $$ select '' $$;
  end $do$`,
  // The name of a WAL file begins with the timeline, and is known at once, where pg_control says so at the next checkpoint.
  `do $do$ begin
    perform pg_walfile_name(pg_current_wal_lsn());
    create function own_timeline() returns bigint language sql stable as
      $$ select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint $$;
  exception when insufficient_privilege or undefined_function or feature_not_supported then
    create function own_timeline() returns bigint language sql stable as 'select 1::bigint';
  end $do$`,
  // 0: a standby, which has none of its own.
  `create function current_timeline() returns bigint language sql stable as $$
    select case when pg_is_in_recovery() then 0 else (select earlier from server_timeline) + own_timeline() end $$`,
  // For transactions that come through a pooler, which may have another server behind it than the last time.
  `create function refuse_timeline_below(lowest bigint) returns void language plpgsql stable as $$ begin
    if current_timeline() < lowest then
      raise exception 'the server is on timeline %, and % has been seen', current_timeline(), lowest using errcode = 'TY001';
    end if;
  end $$`,
  `insert into server_timeline (identity, highest, seen_at)
    values (server_identity(), own_timeline(), (extract(epoch from clock_timestamp()) * 1000)::bigint)`,
  // When the lease now held was taken; renewals leave it alone.
  `alter table conversation_queue add column leased_at bigint`,
];
