import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { existsSync, mkdtempSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeTokens, Tenants, TokenStore } from '@tyrum/identity';
import { Leases, type HeldLease } from '@tyrum/leases';
import { Pairings } from '@tyrum/nodes';
import { DEFAULT_TENANT_ID, type DesktopStatus } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { DesktopEnvironments } from '../desktop-environments';
import { DESKTOP_HOST_LEASE_KIND, DesktopHosts } from '../desktop-hosts';
import type { EnvironmentRow } from '../environment-row';
import { DesktopUnavailableError } from './desktop-driver';
import { DesktopReconciler, type BringUp, type HostHold, type ReconcilerPorts } from './desktop-reconciler';
import type { UpDesktop } from './hosted-desktop';
import { Placements } from './placements';

/** Desktops that are up as far as the reconciler can tell. */
class Screens {
  readonly up = new Map<string, { readonly row: EnvironmentRow; readonly end: (why: string) => void }>();
  brought = 0;
  refusal: Error | undefined;
  /** Whoever is brought up waits for this, or for the signal. */
  gate: Promise<void> = Promise.resolve();
  readonly signals: AbortSignal[] = [];

  constructor(private readonly enrol: (row: EnvironmentRow, how: BringUp) => Promise<unknown>) {}

  readonly bringUp = async (row: EnvironmentRow, how: BringUp): Promise<UpDesktop> => {
    this.brought += 1;
    this.signals.push(how.signal);
    await Promise.race([this.gate, once(how.signal, 'abort')]);
    if (how.signal.aborted) throw new DesktopUnavailableError('it was broken off');
    if (this.refusal) throw this.refusal;
    await this.enrol(row, how);
    mkdirSync(how.directory, { recursive: true });
    let end: (why: string) => void = () => undefined;
    const ended = new Promise<string>((resolve) => (end = resolve));
    this.up.set(row.environment_id, { row, end });
    const stop = (): Promise<void> => {
      this.up.delete(row.environment_id);
      end('it was stopped');
      return Promise.resolve();
    };
    return { ended, stop };
  };
}

describeOnBothDialects('a host of desktops', (stores) => {
  let store: StateStore;
  let leases: Leases;
  let desktops: DesktopEnvironments;
  let home: string;
  const started: DesktopReconciler[] = [];
  const troubles: unknown[] = [];

  beforeEach(async () => {
    store = await stores().open();
    leases = new Leases(store);
    const tokens = nodeTokens(new TokenStore(store));
    const pairings = new Pairings({ store, tokens, newId: randomUUID, nowMs: Date.now });
    desktops = new DesktopEnvironments(store, pairings, { publish: () => undefined });
    home = mkdtempSync(join(tmpdir(), 'tyrum-desktops-'));
    troubles.length = 0;
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((reconciler) => reconciler.stop()));
    rmSync(home, { recursive: true, force: true });
    expect(troubles).toEqual([]);
  });

  async function host(overrides: Partial<ReconcilerPorts> = {}, hostId: string = randomUUID()) {
    const name = { kind: DESKTOP_HOST_LEASE_KIND, name: hostId };
    const held = (await leases.acquire(name, hostId, 60_000)) as HeldLease;
    await new DesktopHosts(store, leases).register({ hostId, instanceId: hostId, hostname: 'h', version: '1' }, held);
    const placements = new Placements(store, leases, hostId);
    const screens = new Screens((row, { lease }) =>
      store.transaction((tx) => placements.nameNodeIn(tx, lease, row, `dev_${row.placement}`)),
    );
    const state: { hold: HostHold | undefined; lose: () => void } = { hold: undefined, lose: () => undefined };
    const regain = (): void => {
      const lost = new AbortController();
      state.hold = { lease: held, lost: lost.signal };
      state.lose = () => {
        state.hold = undefined;
        lost.abort();
      };
    };
    regain();
    const reconciler = new DesktopReconciler({
      placements,
      hold: () => state.hold,
      bringUp: screens.bringUp,
      directory: join(home, hostId),
      capacity: 2,
      onTrouble: (_what, error) => troubles.push(error),
      everyMs: 20,
      retryMs: [50, 400],
      ...overrides,
    });
    reconciler.start();
    started.push(reconciler);
    return { hostId, screens, lose: () => state.lose(), regain, reconciler, directory: join(home, hostId) };
  }
  const ref = (environmentId: string) => ({ tenantId: DEFAULT_TENANT_ID, environmentId, actor: 'a' });
  const create = async (wanted: object = {}): Promise<string> => {
    const id = randomUUID();
    await store.transaction((tx) => desktops.createIn(tx, ref(id), wanted));
    return id;
  };
  const want = (id: string, desired: 'running' | 'stopped') =>
    store.transaction((tx) => desktops.wantIn(tx, ref(id), desired));
  const becomes = (id: string, status: DesktopStatus) =>
    eventually(async () => {
      const found = await desktops.find(DEFAULT_TENANT_ID, id);
      expect(found).toMatchObject({ status });
      return found;
    });

  it('brings up what is wanted, stops what is not, and keeps its files for the next time', async () => {
    const { screens, directory } = await host();
    const id = await create();
    expect(await becomes(id, 'running')).toMatchObject({ node_id: 'dev_1' });
    await want(id, 'stopped');
    await becomes(id, 'stopped');
    expect(screens.up.size).toBe(0);
    expect(readdirSync(directory)).toEqual([`${id}.1`]);
    await want(id, 'running');
    await becomes(id, 'running');
    expect(screens.brought).toBe(2);
  });

  it('takes up no more than it has room for, and more when there is room again', async () => {
    const { screens } = await host();
    const ids = await Promise.all([create(), create(), create()]);
    await eventually(() => expect(screens.up.size).toBe(2));
    const [first] = [...screens.up.keys()] as [string];
    const waiting = ids.find((id) => !screens.up.has(id)) as string;
    await becomes(waiting, 'pending');
    await want(first, 'stopped');
    await becomes(waiting, 'running');
  });

  it('says why one could not be started, tries again ever later, and at once when it is asked to', async () => {
    const { screens } = await host({ retryMs: [60_000, 60_000] });
    screens.refusal = new DesktopUnavailableError('Xvfb is not installed');
    const id = await create();
    expect(await becomes(id, 'failed')).toMatchObject({ error: 'Xvfb is not installed' });
    const tried = screens.brought;
    screens.refusal = undefined;
    await want(id, 'running');
    expect(await becomes(id, 'running')).not.toHaveProperty('error');
    expect(screens.brought).toBe(tried + 1);
  });

  it('brings one back that ended by itself', async () => {
    const { screens } = await host();
    const id = await create();
    await becomes(id, 'running');
    screens.up.get(id)?.end('the screen ended');
    await eventually(() => expect(screens.brought).toBe(2));
    await becomes(id, 'running');
  });

  it('does not show operators what went wrong inside of it', async () => {
    const { screens } = await host({ retryMs: [60_000, 60_000] });
    screens.refusal = new Error('postgres://user:password@host');
    const found = await becomes(await create(), 'failed');
    expect(found?.error).toBe('it could not be started: see the log of its host');
    expect(troubles.splice(0)).toEqual([screens.refusal]);
  });

  it('clears up after what was deleted', async () => {
    const { screens, directory } = await host();
    const id = await create();
    await becomes(id, 'running');
    await desktops.remove(ref(id));
    await eventually(() => expect([screens.up.size, existsSync(join(directory, `${id}.1`))]).toEqual([0, false]));
    const rows = (hostId: string) => new Placements(store, leases, hostId).work();
    await eventually(async () => expect(await rows(directory.split('/').at(-1) ?? '')).toEqual([]));
  });

  it('ends what was moved elsewhere, with its files, and begins anew what comes back', async () => {
    const [one, two] = [await host(), await host()];
    const id = await create({ host_id: undefined });
    await becomes(id, 'running');
    const [from, to] = one.screens.up.has(id) ? [one, two] : [two, one];
    const move = (host_id: string) => store.transaction((tx) => desktops.moveIn(tx, ref(id), { host_id }));
    await move(to.hostId);
    await eventually(() => expect([from.screens.up.has(id), to.screens.up.has(id)]).toEqual([false, true]));
    expect(await becomes(id, 'running')).toMatchObject({ node_id: 'dev_2', host_id: to.hostId });
    await eventually(() => expect(readdirSync(from.directory)).toEqual([]));
    await move(from.hostId);
    expect(await becomes(id, 'running')).toMatchObject({ node_id: 'dev_3', host_id: from.hostId });
  });

  it('has nothing up without its lease, and everything again with it', async () => {
    const { screens, lose, regain } = await host();
    const id = await create();
    await becomes(id, 'running');
    lose();
    await eventually(() => expect(screens.up.size).toBe(0));
    regain();
    await eventually(() => expect(screens.up.size).toBe(1));
    await becomes(id, 'running');
  });

  it('ends them at once when the lease is lost, also while the database does not answer', async () => {
    let hangs = false;
    const never = new Promise<never>(() => undefined);
    const { screens, lose, reconciler } = await host({
      placements: new (class extends Placements {
        override work = () => (hangs ? never : super.work());
      })(store, leases, randomUUID()),
    });
    started.splice(started.indexOf(reconciler), 1);
    const id = await create();
    await eventually(() => expect(screens.up.has(id)).toBe(true));
    hangs = true;
    await setTimeout(60);
    lose();
    await eventually(() => expect(screens.up.size).toBe(0));
  });

  it('breaks off what is being brought up when the lease is lost, or it is not wanted any more', async () => {
    const { screens, lose, regain } = await host();
    screens.gate = new Promise(() => undefined);
    const id = await create();
    await becomes(id, 'starting');
    await want(id, 'stopped');
    await becomes(id, 'stopped');
    await want(id, 'running');
    await becomes(id, 'starting');
    lose();
    await eventually(() => expect(screens.signals.every(({ aborted }) => aborted)).toBe(true));
    screens.gate = Promise.resolve();
    regain();
    expect(await becomes(id, 'running')).not.toHaveProperty('error');
  });

  it('never has more up than it has room for, whoever was placed here or is started again', async () => {
    const { screens, hostId } = await host();
    const first = await Promise.all([create(), create()]);
    for (const id of first) await becomes(id, 'running');
    for (const id of first) await want(id, 'stopped');
    for (const id of first) await becomes(id, 'stopped');
    const second = await Promise.all([create(), create()]);
    for (const id of second) await becomes(id, 'running');
    const placed = await create({ host_id: hostId });
    for (const id of [...first, placed]) {
      await want(id, 'running');
      await eventually(async () => {
        const found = await desktops.find(DEFAULT_TENANT_ID, id);
        expect(found).toMatchObject({ status: 'pending', error: 'its host has no room for it' });
      });
    }
    expect(screens.up.size).toBe(2);
    for (const id of second) await want(id, 'stopped');
    await eventually(() => expect(screens.up.size).toBe(2));
  });

  it('has desktops of one tenant at a time', async () => {
    const { screens, hostId } = await host();
    const id = await create();
    await becomes(id, 'running');
    const { tenant_id: tenantId } = await store.transaction((tx) =>
      new Tenants(store).createIn(tx, { slug: 'another', actor: 'a' }),
    );
    const theirs = { tenantId, environmentId: randomUUID(), actor: 'a' };
    const placed = { tenantId, environmentId: randomUUID(), actor: 'a' };
    await store.transaction((tx) => desktops.createIn(tx, theirs, {}));
    await store.transaction((tx) => desktops.createIn(tx, placed, { host_id: hostId }));
    const shown = (one: typeof theirs) => desktops.find(tenantId, one.environmentId);
    await eventually(async () => expect((await shown(placed))?.error).toBe('its host has desktops of another tenant'));
    expect(await shown(theirs)).toMatchObject({ host_id: null, status: 'pending' });
    await want(id, 'stopped');
    await eventually(() =>
      expect([...screens.up.keys()].sort()).toEqual([theirs, placed].map((one) => one.environmentId).sort()),
    );
  });

  it('answers the wish it has seen: a start while an earlier one fails is not held against it', async () => {
    const { screens } = await host({ retryMs: [60_000, 60_000] });
    let open: () => void = () => undefined;
    screens.gate = new Promise((resolve) => (open = resolve));
    screens.refusal = new DesktopUnavailableError('too early');
    const id = await create();
    await becomes(id, 'starting');
    await want(id, 'running');
    await setTimeout(60);
    open();
    await eventually(() => expect(screens.brought).toBe(2));
    screens.refusal = undefined;
    await want(id, 'running');
    expect(await becomes(id, 'running')).not.toHaveProperty('error');
  });

  it('says that they wait for it when it stops, and takes them up at its next start', async () => {
    const first = await host();
    const id = await create();
    await becomes(id, 'running');
    await first.reconciler.stop();
    expect(first.screens.up.size).toBe(0);
    await becomes(id, 'pending');
    const stray = join(first.directory, `${randomUUID()}.1`);
    mkdirSync(stray);
    const next = await host({}, first.hostId);
    await becomes(id, 'running');
    expect([next.screens.up.has(id), existsSync(stray)]).toEqual([true, false]);
  });
});
