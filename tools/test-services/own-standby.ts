import { execFileSync } from 'node:child_process';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askServer } from './ask-server';
import { eventually } from './eventually';
import { launchPostgres, serverFolder, type OwnPostgres } from './own-postgres';

/** A second server that follows a primary until it is promoted. */
export interface OwnStandby extends OwnPostgres {
  /** Waits until all that the primary has committed so far is here. */
  caughtUp(): Promise<void>;
  /** From now on the primary's commits need it too: what is acknowledged is on both. */
  makeSynchronous(): Promise<void>;
  /** What the primary commits from now on does not come here. */
  stopReceiving(): Promise<void>;
  /** Makes it a primary, on a timeline of its own. */
  promote(): Promise<void>;
}

/** Copies a primary, which it stops for that, and follows it. By copying: not every installation has `pg_basebackup`. */
export async function startOwnStandby(primary: OwnPostgres): Promise<OwnStandby> {
  const folder = serverFolder();
  const data = join(folder, 'data');
  await primary.stopFast();
  execFileSync('cp', ['-a', join(primary.folder, 'data'), data]);
  await primary.start();
  rmSync(join(data, 'postmaster.pid'), { force: true });
  // The copy's own files, so that they keep the owner that the server insists on.
  writeFileSync(join(data, 'standby.signal'), '');
  appendFileSync(
    join(data, 'postgresql.auto.conf'),
    `\nprimary_conninfo = 'host=127.0.0.1 port=${primary.port} user=postgres application_name=standby'\n`,
  );
  const server = await launchPostgres(folder, {});
  await eventually(async () => {
    const [row] = await askServer(
      primary.url,
      `select count(*)::int as n from pg_stat_replication where state = 'streaming'`,
    );
    if (row?.['n'] !== 1) throw new Error('the standby does not follow yet');
  });
  const setAndReload = async (url: string, setting: string) => {
    await askServer(url, `alter system set ${setting}`);
    await askServer(url, 'select pg_reload_conf()');
  };
  return {
    ...server,
    makeSynchronous: async () => {
      await setAndReload(primary.url, `synchronous_standby_names = '*'`);
      await eventually(async () => {
        const [row] = await askServer(primary.url, `select sync_state from pg_stat_replication`);
        if (row?.['sync_state'] !== 'sync') throw new Error('the standby is not synchronous yet');
      });
    },
    caughtUp: async () => {
      const [written] = await askServer(primary.url, 'select pg_current_wal_flush_lsn()::text as lsn');
      await eventually(async () => {
        const [row] = await askServer(
          server.url,
          `select pg_last_wal_replay_lsn() >= '${written?.['lsn'] as string}' as here`,
        );
        if (!row?.['here']) throw new Error('the standby is behind');
      });
    },
    stopReceiving: async () => {
      await setAndReload(server.url, `primary_conninfo = ''`);
      await eventually(async () => {
        if ((await askServer(primary.url, 'select from pg_stat_replication')).length > 0)
          throw new Error('it still receives');
      });
    },
    promote: async () => void (await askServer(server.url, 'select pg_promote(true)')),
  };
}
