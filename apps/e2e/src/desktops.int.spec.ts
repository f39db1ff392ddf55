import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DesktopEnvironment } from '@tyrum/protocol';
import { installDesktopPrograms } from '@tyrum/desktops/testing';
import { createPostgresDatabase, eventually, type AppProcess, type TestDatabase } from '@tyrum/test-services';
import { Deployment, type Action, type TurnAnswer } from './deployment';

beforeAll(installDesktopPrograms, 300_000);

describe.each(['sqlite', 'postgres'] as const)('desktops on %s', (dialect) => {
  let tyrum: Deployment;
  let edge: AppProcess;
  let runtime: AppProcess;
  let database: TestDatabase | undefined;
  const homes: string[] = [];

  beforeAll(async () => {
    if (dialect === 'postgres') database = await createPostgresDatabase();
    // Each runtime has a home of its own, so that the database's place is named.
    const url = database?.url ?? `sqlite:${join(newHome(), 'tyrum.db')}`;
    tyrum = new Deployment({ TYRUM_DATABASE_URL: url, TYRUM_LEASE_TTL_MS: '2000' });
    edge = await tyrum.start('edge', { TYRUM_ROLES: 'edge,worker,scheduler' });
    runtime = await host(newHome());
  });
  afterAll(async () => {
    await tyrum.stop();
    await database?.drop();
    for (const home of homes) rmSync(home, { recursive: true, force: true });
  });

  function newHome(): string {
    const home = mkdtempSync(join(tmpdir(), 'tyrum-desktop-host-'));
    homes.push(home);
    return home;
  }
  const host = (home: string): Promise<AppProcess> =>
    tyrum.start('desktop-runtime', { TYRUM_HOME: home, TYRUM_EDGE_URL: `ws://127.0.0.1:${edge.port}/ws` });

  const ask = async (method: string, path: string, body?: object): Promise<DesktopEnvironment> => {
    const answer = await tyrum.call(method, `/v1/desktop-environments${path}`, body);
    expect([200, 201, 202]).toContain(answer.status);
    return ((await answer.json()) as { environment: DesktopEnvironment }).environment;
  };
  const becomes = (id: string, status: string): Promise<DesktopEnvironment> =>
    eventually(
      async () => {
        const found = await ask('GET', `/${id}`);
        expect(found.status).toBe(status);
        return found;
      },
      { timeoutMs: 40_000, intervalMs: 100 },
    );
  const step = (op: string, args: object = {}): Action => ({ type: 'Desktop', args: { op, ...args } });
  const typed = (text: string): Action[] => [
    step('launch', { cmd: 'xterm', args: ['-e', 'sh'], wait_ms: 20_000 }),
    step('click', { x: 640, y: 400 }),
    step('type', { text: `${text}\n` }),
  ];
  /** Has programs on the desktop do something. */
  const run = async (...steps: Action[]): Promise<TurnAnswer> => {
    const ended = await tyrum.ended(await tyrum.startTurn('agent:default:main', steps));
    expect(ended).toMatchObject({ turn: { status: 'succeeded' } });
    return ended;
  };
  /** What programs on the desktop have written. */
  const written = (file: string): Promise<string> =>
    eventually(
      () => {
        const found = homes
          .map((home) => join(home, 'desktops'))
          .flatMap((folder) => namesIn(folder).map((name) => join(folder, name, 'home')))
          .filter((home) => namesIn(home).includes(file));
        expect(found).toHaveLength(1);
        return Promise.resolve(readFileSync(join(found[0] ?? '', file), 'utf8'));
      },
      { timeoutMs: 20_000 },
    );

  let id: string;

  it('come up as paired nodes that turns work, and their pictures are artifacts', async () => {
    id = (await ask('POST', '', { label: 'screen' })).environment_id;
    const { node_id } = await becomes(id, 'running');
    const { steps } = await run(...typed('echo worked > one'), step('screenshot'));
    expect(await written('one')).toBe('worked\n');
    const picture = steps.at(-1)?.artifacts[0];
    expect(picture).toMatchObject({ kind: 'screenshot', mime_type: 'image/png' });
    const bytes = Buffer.from(await (await tyrum.call('GET', picture?.external_url ?? '')).arrayBuffer());
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([1280, 800]);
    const { nodes } = (await (await tyrum.call('GET', '/v1/nodes')).json()) as { nodes: object[] };
    expect(nodes).toMatchObject([{ node_id, label: 'screen', status: 'online' }]);
  });

  it('are lost with their host, and come back with it as the node they were', async () => {
    const before = await ask('GET', `/${id}`);
    const [home] = homes.slice(-1) as [string];
    runtime.kill('SIGKILL');
    await runtime.exited;
    await eventually(() => expect(programsOf(home)).toEqual([]));
    expect((await becomes(id, 'lost')).node_id).toBe(before.node_id);
    runtime = await host(home);
    expect((await becomes(id, 'running')).node_id).toBe(before.node_id);
    await run(...typed('cat one > two'));
    expect(await written('two')).toBe('worked\n');
  });

  it('stay away when their pairing was revoked, until it is approved again', async () => {
    const { pairings } = (await (await tyrum.call('GET', '/v1/pairings?status=approved')).json()) as {
      pairings: { pairing_id: number; capability_allowlist: object[] }[];
    };
    const [{ pairing_id, capability_allowlist }] = pairings as [(typeof pairings)[0]];
    await tyrum.call('POST', `/v1/pairings/${pairing_id}/revoke`, {});
    const failed = await becomes(id, 'failed');
    expect(failed.error).toMatch(/turned away|is revoked/);
    await eventually(async () => expect((await ask('GET', `/${id}`)).error).toMatch(/is revoked/), {
      timeoutMs: 20_000,
    });
    await tyrum.call('POST', `/v1/pairings/${pairing_id}/approve`, { trust_level: 'local', capability_allowlist });
    await ask('POST', `/${id}/start`);
    await becomes(id, 'running');
  });

  it('move to another host, where they begin empty and as another node', async () => {
    const before = await ask('GET', `/${id}`);
    const other = newHome();
    await host(other);
    const { deployment } = (await (await tyrum.call('GET', '/v1/cluster')).json()) as {
      deployment: { desktop_hosts: { host_id: string; status: string }[] };
    };
    const target = deployment.desktop_hosts.find(({ host_id }) => host_id !== before.host_id);
    expect(target?.status).toBe('online');
    await ask('POST', `/${id}/move`, { host_id: target?.host_id });
    const after = await becomes(id, 'running');
    expect([after.host_id, after.node_id === before.node_id]).toEqual([target?.host_id, false]);
    await run(...typed('ls > three'));
    expect(await written('three')).toBe('three\n');
  });

  it('stop and are deleted, with what they kept', async () => {
    await ask('POST', `/${id}/stop`);
    await becomes(id, 'stopped');
    expect(homes.flatMap(programsOf)).toEqual([]);
    expect((await tyrum.call('DELETE', `/v1/desktop-environments/${id}`)).status).toBe(204);
    expect((await tyrum.call('GET', `/v1/desktop-environments/${id}`)).status).toBe(404);
    await eventually(() => expect(homes.flatMap((home) => namesIn(join(home, 'desktops')))).toEqual([]), {
      timeoutMs: 20_000,
    });
  });
});

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Command lines of living processes that have to do with desktops below a folder. */
function programsOf(home: string): string[] {
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(join(home, 'desktops')));
}
