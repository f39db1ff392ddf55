import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DesktopHosts } from '@tyrum/desktops';
import { Leases } from '@tyrum/leases';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually, spawnApp, type AppProcess } from '@tyrum/test-services';

describeOnBothDialects('the desktop runtime process', (stores) => {
  let home: string;
  let processes: AppProcess[] = [];

  beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'tyrum-desktop-'))));
  afterEach(async () => {
    await Promise.all(processes.map((app) => app.stop()));
    processes = [];
    rmSync(home, { recursive: true, force: true });
  });

  async function start(): Promise<AppProcess> {
    const { address } = stores();
    const app = await spawnApp('desktop-runtime', {
      TYRUM_HOME: home,
      TYRUM_DATABASE_URL: address.kind === 'sqlite' ? `sqlite:${address.path}` : address.url,
      TYRUM_LEASE_TTL_MS: '1500',
    });
    processes.push(app);
    return app;
  }

  async function readiness(app: AppProcess): Promise<{ status: number; error?: string }> {
    const answer = await fetch(`http://127.0.0.1:${app.port}/readyz`);
    const { checks } = (await answer.json()) as { checks: { name: string; error?: string }[] };
    const { error } = checks.find(({ name }) => name === 'desktop host') ?? {};
    return { status: answer.status, ...(error === undefined ? {} : { error }) };
  }

  it('registers its host and gives it back at SIGTERM', async () => {
    const store = await stores().open();
    const hosts = new DesktopHosts(store, new Leases(store));
    const app = await start();
    expect((await fetch(`http://127.0.0.1:${app.port}/livez`)).status).toBe(200);
    await eventually(async () => expect(await readiness(app)).toEqual({ status: 200 }));
    const [online] = await hosts.list();
    expect(online).toMatchObject({ status: 'online' });
    app.kill('SIGTERM');
    expect(await app.exited).toEqual({ code: 0, signal: null });
    expect(await hosts.list()).toMatchObject([{ host_id: online?.host_id, status: 'lost' }]);
  });

  it('keeps a second runtime of the same home not ready until the first has died', async () => {
    const store = await stores().open();
    const hosts = new DesktopHosts(store, new Leases(store));
    const first = await start();
    await eventually(async () => expect(await readiness(first)).toEqual({ status: 200 }));
    const [before] = await hosts.list();
    const second = await start();
    await eventually(async () =>
      expect(await readiness(second)).toEqual({
        status: 503,
        error: expect.stringContaining(
          `is held by ${before?.instance_id}: two runtimes must not share one home`,
        ) as string,
      }),
    );
    first.kill('SIGKILL');
    await eventually(async () => expect(await readiness(second)).toEqual({ status: 200 }));
    const after = await hosts.list();
    expect(after).toMatchObject([{ host_id: before?.host_id, status: 'online' }]);
    expect(after[0]?.instance_id).not.toBe(before?.instance_id);
  });
});
