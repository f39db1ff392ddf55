import { randomUUID } from 'node:crypto';
import { nodeTokens, TokenStore } from '@tyrum/identity';
import { Leases, type HeldLease } from '@tyrum/leases';
import { Pairings } from '@tyrum/nodes';
import { DEFAULT_TENANT_ID, LIMITS } from '@tyrum/protocol';
import { portable, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { DesktopEnvironments } from './desktop-environments';
import { DESKTOP_HOST_LEASE_KIND, DesktopHosts } from './desktop-hosts';
import type { EnvironmentRow } from './environment-row';
import { pruneDeletedDesktops } from './host-retention';
import { Placements } from './runtime/placements';

const TTL_MS = 60_000;
const noted = portable('noted-audits', 'select notes from audit_pending order by pending_id');

describeOnBothDialects('desktops as they are wanted', (stores) => {
  let store: StateStore;
  let desktops: DesktopEnvironments;
  let leases: Leases;
  let pairings: Pairings;
  const published: string[] = [];

  beforeEach(async () => {
    store = await stores().open();
    leases = new Leases(store);
    const tokens = nodeTokens(new TokenStore(store));
    pairings = new Pairings({ store, tokens, newId: randomUUID, nowMs: Date.now });
    desktops = new DesktopEnvironments(store, pairings, { publish: (topic) => void published.push(topic) });
  });

  const ref = (environmentId: string, tenantId: string = DEFAULT_TENANT_ID) => ({
    tenantId,
    environmentId,
    actor: 'a',
  });
  const create = (wanted: object = {}, id: string = randomUUID()) =>
    store.transaction((tx) => desktops.createIn(tx, ref(id), wanted));
  const want = (id: string, desired: 'running' | 'stopped') =>
    store.transaction((tx) => desktops.wantIn(tx, ref(id), desired));
  const move = (id: string, hostId?: string) =>
    store.transaction((tx) => desktops.moveIn(tx, ref(id), hostId === undefined ? {} : { host_id: hostId }));

  /** A host that is there, as far as anybody can tell. */
  async function host(): Promise<{ lease: HeldLease; placements: Placements; hostId: string }> {
    const hostId = randomUUID();
    const lease = await leases.acquire({ kind: DESKTOP_HOST_LEASE_KIND, name: hostId }, hostId, TTL_MS);
    if (!lease) throw new Error('the lease of a new host is free');
    const description = { hostId, instanceId: hostId, hostname: 'h', version: '1' };
    await new DesktopHosts(store, leases).register(description, lease);
    return { lease, placements: new Placements(store, leases, hostId), hostId };
  }
  /** What a host says of a desktop whose node is up. */
  async function runs(placements: Placements, lease: HeldLease, row: EnvironmentRow, nodeId: string): Promise<boolean> {
    const isNamed = await store.transaction((tx) => placements.nameNodeIn(tx, lease, row, nodeId));
    return isNamed && placements.note(lease, row, { status: 'running' });
  }
  async function only(placements: Placements) {
    const [row, ...others] = await placements.work();
    expect(others).toEqual([]);
    if (!row) throw new Error('there is one');
    return row;
  }

  it('are pending until a host takes them up, and then as it says', async () => {
    const made = await create({ label: 'first', width: 1024 });
    expect(made).toMatchObject({ label: 'first', width: 1024, height: 800, status: 'pending', host_id: null });
    const { lease, placements, hostId } = await host();
    const [taken] = await placements.takeUp(lease, DEFAULT_TENANT_ID, 1);
    expect(taken).toMatchObject({ environment_id: made.environment_id, host_id: hostId });
    expect(await runs(placements, lease, taken!, 'dev_x')).toBe(true);
    expect(await desktops.list(DEFAULT_TENANT_ID)).toMatchObject([{ status: 'running', node_id: 'dev_x' }]);
  });

  it('are taken up by one host alone, and by none beyond what it has room for', async () => {
    await Promise.all(Array.from({ length: 6 }, () => create()));
    const [one, two] = [await host(), await host()];
    const [first, second] = await Promise.all([
      one.placements.takeUp(one.lease, DEFAULT_TENANT_ID, 4),
      two.placements.takeUp(two.lease, DEFAULT_TENANT_ID, 4),
    ]);
    const ids = [...first, ...second].map(({ environment_id }) => environment_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(Math.max(first.length, second.length)).toBeLessThanOrEqual(4);
    await one.placements.takeUp(one.lease, DEFAULT_TENANT_ID, 6);
    expect((await desktops.list(DEFAULT_TENANT_ID)).every(({ host_id }) => host_id !== null)).toBe(true);
  });

  it('are lost while nobody holds the lease on their host, unless they are stopped', async () => {
    const [up, down] = [await create(), await create()];
    const { lease, placements } = await host();
    for (const row of await placements.takeUp(lease, DEFAULT_TENANT_ID, 2)) {
      const status = row.environment_id === up.environment_id ? 'running' : 'stopped';
      await placements.note(lease, row, { status });
    }
    await leases.release(lease);
    const shown = new Map((await desktops.list(DEFAULT_TENANT_ID)).map((one) => [one.environment_id, one.status]));
    expect([shown.get(up.environment_id), shown.get(down.environment_id)]).toEqual(['lost', 'stopped']);
  });

  it('are answered for by whoever holds the lease, for the wish that was seen, and by nobody else', async () => {
    const { environment_id: id } = await create();
    const { lease, placements } = await host();
    const [seen] = await placements.takeUp(lease, DEFAULT_TENANT_ID, 1);
    await want(id, 'stopped');
    expect(await placements.note(lease, seen!, { status: 'running' })).toBe(false);
    const now = await only(placements);
    const stranger = await host();
    expect(await stranger.placements.note(stranger.lease, now, { status: 'running' })).toBe(false);
    await leases.release(lease);
    expect(await placements.note(lease, now, { status: 'running' })).toBe(false);
    expect(await placements.takeUp(lease, DEFAULT_TENANT_ID, 9)).toEqual([]);
  });

  it('name no node that is not theirs any more, or where they are not wanted', async () => {
    const { environment_id: id } = await create();
    const { lease, placements } = await host();
    const [row] = await placements.takeUp(lease, DEFAULT_TENANT_ID, 1);
    const name = (held: HeldLease) => store.transaction((tx) => placements.nameNodeIn(tx, held, row!, 'dev_x'));
    expect(await name({ ...lease, token: lease.token - 1 })).toBe(false);
    expect(await name(lease)).toBe(true);
    await want(id, 'stopped');
    expect(await name(lease)).toBe(false);
    await want(id, 'running');
    await move(id);
    expect(await name(lease)).toBe(false);
  });

  it('stop at once where no host has them, and are pending again when they are wanted', async () => {
    const { environment_id: id } = await create();
    expect(await want(id, 'stopped')).toMatchObject({ status: 'stopped', desired: 'stopped' });
    const { placements } = await host();
    expect(await placements.work()).toEqual([]);
    expect(await want(id, 'running')).toMatchObject({ status: 'pending', desired: 'running' });
    expect(await only(placements)).toMatchObject({ environment_id: id });
  });

  it('are moved with the revocation of the node they were, in one commit', async () => {
    const { environment_id: id } = await create();
    const [from, to] = [await host(), await host()];
    const [row] = await from.placements.takeUp(from.lease, DEFAULT_TENANT_ID, 1);
    const pairing = await paired('dev_old');
    await runs(from.placements, from.lease, row!, 'dev_old');
    expect(await move(id, to.hostId)).toMatchObject({ host_id: to.hostId, status: 'pending', node_id: null });
    expect(await pairings.find([{ tenantId: DEFAULT_TENANT_ID, nodeId: 'dev_old' }])).toMatchObject([
      { pairing_id: pairing, status: 'revoked' },
    ]);
    expect(await from.placements.work()).toEqual([]);
    expect(await only(to.placements)).toMatchObject({ placement: 2 });
    expect(await runs(from.placements, from.lease, row!, 'dev_old')).toBe(false);
    await expect(move(id, randomUUID())).rejects.toMatchObject({ code: 'not_found' });
    const rows = await store.read((db) => db.query<{ notes: string }>(noted));
    const audited = rows.flatMap(({ notes }) => JSON.parse(notes) as { type: string }[]).map(({ type }) => type);
    expect(audited.filter((type) => /^(desktop|pairing)/.test(type))).toEqual([
      'desktop.created',
      'pairing.revoked',
      'desktop.moved',
    ]);
  });

  async function paired(nodeId: string): Promise<number> {
    const { pairing_id: id } = await pairings.request({ tenantId: DEFAULT_TENANT_ID, nodeId, capabilities: [] });
    const decision = { kind: 'approve', trustLevel: 'local', allowlist: [], decider: { by: 'a' } } as const;
    await store.transaction((tx) => pairings.decideIn(tx, DEFAULT_TENANT_ID, id, decision));
    return id;
  }

  it('are gone at once when they are deleted, and their row when the host has cleared up', async () => {
    const [placed, unplaced] = [await create(), await create({ desired: 'stopped' })];
    const { lease, placements } = await host();
    const [row] = await placements.takeUp(lease, DEFAULT_TENANT_ID, 1);
    await runs(placements, lease, row!, 'dev_gone');
    await paired('dev_gone');
    published.length = 0;
    expect(await desktops.remove(ref(placed.environment_id))).toBe(true);
    expect(published).toEqual(['nodes', 'outbox']);
    expect(await desktops.remove(ref(unplaced.environment_id))).toBe(true);
    expect(await desktops.list(DEFAULT_TENANT_ID)).toEqual([]);
    expect(await desktops.remove(ref(placed.environment_id))).toBe(false);
    await expect(want(placed.environment_id, 'running')).rejects.toMatchObject({ code: 'not_found' });
    expect(await pairings.find([{ tenantId: DEFAULT_TENANT_ID, nodeId: 'dev_gone' }])).toMatchObject([
      { status: 'revoked' },
    ]);
    const left = await only(placements);
    expect(left).toMatchObject({ desired: 'absent' });
    await placements.drop(lease, left);
    expect(await placements.work()).toEqual([]);
  });

  it('are swept when they were deleted and their host never came back', async () => {
    const [kept, deleted] = [await create(), await create()];
    const { lease, placements } = await host();
    await placements.takeUp(lease, DEFAULT_TENANT_ID, 2);
    await desktops.remove(ref(deleted.environment_id));
    expect(await pruneDeletedDesktops(store, 60_000, 10)).toBe(0);
    expect(await pruneDeletedDesktops(store, -60_000, 10)).toBe(1);
    expect(await only(placements)).toMatchObject({ environment_id: kept.environment_id });
  });

  it(`are ${LIMITS.desktopsPerTenant} a tenant at the most, and no other tenant's`, async () => {
    const { environment_id: id } = await create();
    for (let i = 1; i < LIMITS.desktopsPerTenant; i += 1) await create();
    await expect(create()).rejects.toMatchObject({ code: 'conflict' });
    const stranger = randomUUID();
    expect(await desktops.list(stranger)).toEqual([]);
    expect(await desktops.remove(ref(id, stranger))).toBe(false);
    await expect(store.transaction((tx) => desktops.wantIn(tx, ref(id, stranger), 'stopped'))).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(create({ host_id: randomUUID() })).rejects.toMatchObject({ code: 'not_found' });
  });
});
