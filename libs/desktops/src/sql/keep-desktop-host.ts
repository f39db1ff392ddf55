import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Makes a host known, or known again under another process. Parameters: host, instance, host name, version. Touches:
 * desktop_host.
 */
export const registerDesktopHost: Statement = {
  name: 'register-desktop-host',
  postgres: `
    insert into desktop_host (host_id, instance_id, hostname, version, registered_at, last_seen_at)
    values ($1, $2, $3, $4, ${NOW_MS.postgres}, ${NOW_MS.postgres})
    on conflict (host_id) do update set instance_id = excluded.instance_id, hostname = excluded.hostname,
      version = excluded.version, last_seen_at = excluded.last_seen_at`,
  sqlite: `
    insert into desktop_host (host_id, instance_id, hostname, version, registered_at, last_seen_at)
    values (?1, ?2, ?3, ?4, ${NOW_MS.sqlite}, ${NOW_MS.sqlite})
    on conflict (host_id) do update set instance_id = excluded.instance_id, hostname = excluded.hostname,
      version = excluded.version, last_seen_at = excluded.last_seen_at`,
};

/** Notes that a host is there. No row = another process has taken the host over. Parameters: host, instance. Touches: desktop_host. */
export const touchDesktopHost: Statement = {
  name: 'touch-desktop-host',
  postgres: `update desktop_host set last_seen_at = ${NOW_MS.postgres} where host_id = $1 and instance_id = $2 returning host_id`,
  sqlite: `update desktop_host set last_seen_at = ${NOW_MS.sqlite} where host_id = ?1 and instance_id = ?2 returning host_id`,
};
