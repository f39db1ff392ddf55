import { randomUUID } from 'node:crypto';
import { copyFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStateStore } from '@tyrum/statestore';
import { eventually, type AppProcess } from '@tyrum/test-services';
import { Deployment, type Action } from './deployment';

jest.setTimeout(240_000);

const DISK_MIB = 24;
const KIB = 1_024;

/** Mounts a disk of its own over the home, which nobody else sees, and runs the app on it. Takes no privilege beyond a namespace. */
function onSmallDisk(home: string): string[] {
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const mount = `mount -t tmpfs -o size=${DISK_MIB}m tmpfs "$0" && exec "$@"`;
  return ['unshare', ...asRoot, '--mount', 'sh', '-c', mount, home];
}

describe('a single host whose disk is full', () => {
  let deployment: Deployment;
  let edge: AppProcess;
  /** The app's disk, as seen from here. */
  let disk: string;
  const accepted: string[] = [];

  beforeAll(async () => {
    deployment = new Deployment({ TYRUM_POLICY: 'open' });
    edge = await deployment.start('edge', {}, { launcher: onSmallDisk(deployment.home) });
    disk = `/proc/${edge.pid}/root${deployment.home}`;
  });
  afterAll(() => deployment.stop());

  /** A turn of 60 kB. */
  const write = (): Action => ({
    type: 'Filesystem',
    args: { op: 'write', path: 'file', content: 'x'.repeat(60 * KIB) },
  });
  const ask = async (key: string) => {
    const body = { conversation_key: `agent:default:x:dm:${key}`, steps: [write()] };
    const answer = await deployment.call('POST', '/v1/workflows', body, { 'idempotency-key': key });
    const told = (await answer.json()) as { workflow_run_id?: string; code?: string };
    if (answer.status === 202) accepted.push(told.workflow_run_id as string);
    return { key, status: answer.status, code: told.code, retryAfter: answer.headers.get('retry-after') };
  };
  const readiness = async () => {
    const answer = await deployment.call('GET', '/readyz');
    return { status: answer.status, text: await answer.text() };
  };

  /** SQLite would follow the path out of the app's namespace again. What lies there while it is stopped is what a crash leaves. */
  const copyOfDatabase = () => {
    edge.kill('SIGSTOP');
    for (const file of ['tyrum.db', 'tyrum.db-wal']) copyFileSync(join(disk, file), join(deployment.home, file));
    edge.kill('SIGCONT');
    return join(deployment.home, 'tyrum.db');
  };

  it('refuses work with 503, says why, loses nothing, and goes on when there is room', async () => {
    expect((await ask(randomUUID())).status).toBe(202);
    expect((await readiness()).status).toBe(200);
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - 2_000 * KIB));

    const refused: string[] = [];
    // Several at a time: they share commits, and one that is refused must not take another for written.
    await eventually(
      async () => {
        const answers = await Promise.all(Array.from({ length: 16 }, () => ask(randomUUID())));
        for (const { status, code, key, retryAfter } of answers) {
          if (status === 202) continue;
          expect({ status, code }).toEqual({ status: 503, code: 'overloaded' });
          expect(Number(retryAfter)).toBeGreaterThan(0);
          refused.push(key);
        }
        expect(refused.length).toBeGreaterThan(20);
      },
      { timeoutMs: 60_000, intervalMs: 10 },
    );
    await eventually(async () => {
      const { status, text } = await readiness();
      expect(status).toBe(503);
      expect(text).toMatch(/cannot write to its disk/);
    });
    expect((await deployment.call('GET', '/livez')).status).toBe(200);
    expect(edge.exitCode).toBeNull();

    rmSync(join(disk, 'ballast'));
    await eventually(async () => expect((await readiness()).status).toBe(200), { timeoutMs: 60_000 });
    // Refused means that nothing was written: the same key is a new request, once.
    for (const key of refused.slice(0, 5)) {
      expect((await ask(key)).status).toBe(202);
      expect((await ask(key)).status).toBe(202);
    }
    for (const turnId of new Set(accepted)) await deployment.ended(turnId);
    const last = await deployment.startTurn('agent:default:main', [write()]);
    expect((await deployment.ended(last)).turn.status).toBe('succeeded');
    expect(edge.exitCode).toBeNull();

    const store = await openStateStore({ kind: 'sqlite', path: copyOfDatabase() });
    try {
      const query = (sqlite: string) => store.read((db) => db.query({ name: 'test', postgres: '', sqlite }));
      expect(await query('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
      expect(await query('select count(*) as n from turn')).toEqual([{ n: new Set(accepted).size + 1 }]);
      // What is told of a turn and the turn itself are one commit, or neither is there.
      const orphans = `select count(*) as n from outbox, json_each(events)
        where value ->> 'turn_id' is not null and not exists (select 1 from turn where turn_id = value ->> 'turn_id')`;
      expect(await query(orphans)).toEqual([{ n: 0 }]);
    } finally {
      await store.close();
    }
  });
});
