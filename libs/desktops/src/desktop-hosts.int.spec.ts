import { randomUUID } from 'node:crypto';
import { Leases } from '@tyrum/leases';
import { NOW_MS, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { DESKTOP_HOST_LEASE_KIND, DesktopHosts } from './desktop-hosts';
import { HostRegistration } from './host-registration';

const HOST = '11111111-1111-4111-8111-111111111111';
const expire = {
  name: 'expire',
  postgres: 'update lease set expires_at = 0',
  sqlite: 'update lease set expires_at = 0',
};

describeOnBothDialects('desktop hosts', (stores) => {
  let store: StateStore;
  let hosts: DesktopHosts;
  let running: HostRegistration[] = [];
  const troubles: unknown[] = [];

  beforeEach(async () => {
    store = await stores().open();
    hosts = new DesktopHosts(store, new Leases(store));
  });

  afterEach(async () => {
    for (const runtime of running) await runtime.stop();
    running = [];
  });

  function runtime(instanceId: string, hostId = HOST): HostRegistration {
    const host = { hostId, instanceId, hostname: 'box', version: '1.2.3' };
    const created = new HostRegistration(hosts, new Leases(store), host, {
      leaseTtlMs: 30_000,
      heartbeatMs: 30,
      retryMs: 30,
      onTrouble: (_what, error) => troubles.push(error),
    });
    running.push(created);
    return created;
  }

  it('registers the host, keeps it seen, and lists it as online', async () => {
    const one = runtime('one');
    expect(() => one.requireRegistered()).toThrow('has not been registered yet');
    await one.start();
    one.requireRegistered();
    const [first] = await hosts.list();
    expect(first).toMatchObject({
      host_id: HOST,
      instance_id: 'one',
      hostname: 'box',
      version: '1.2.3',
      status: 'online',
    });
    await eventually(async () => {
      const [now] = await hosts.list();
      expect(Date.parse(now!.last_seen_at)).toBeGreaterThan(Date.parse(first!.last_seen_at));
      expect(now!.registered_at).toBe(first!.registered_at);
    });
    expect(troubles).toEqual([]);
  });

  it('keeps a second runtime of the same host waiting, and lets it in when the first stops', async () => {
    const [one, two] = [runtime('one'), runtime('two')];
    await one.start();
    await two.start();
    one.requireRegistered();
    expect(() => two.requireRegistered()).toThrow(
      `the host ${HOST} is held by one: two runtimes must not share one home`,
    );
    expect(await hosts.list()).toMatchObject([{ instance_id: 'one' }]);
    await one.stop();
    await eventually(() => two.requireRegistered());
    expect(await hosts.list()).toMatchObject([{ instance_id: 'two', status: 'online' }]);
  });

  it('shows a host as lost once it has stopped or its lease has expired', async () => {
    const [one, other] = [runtime('one'), runtime('two', randomUUID())];
    await one.start();
    await other.start();
    await one.stop();
    expect((await hosts.list()).map(({ instance_id, status }) => [instance_id, status])).toEqual(
      expect.arrayContaining([
        ['one', 'lost'],
        ['two', 'online'],
      ]),
    );
    await store.execute(expire);
    expect((await hosts.list()).map(({ status }) => status)).toEqual(['lost', 'lost']);
  });

  it('refuses the row to a runtime whose lease another has taken over', async () => {
    const leases = new Leases(store);
    const name = { kind: DESKTOP_HOST_LEASE_KIND, name: HOST };
    const stale = await leases.acquire(name, 'stale', 30_000);
    await store.execute(expire);
    await runtime('next').start();
    const host = { hostId: HOST, instanceId: 'stale', hostname: 'old', version: '0' };
    expect(await hosts.register(host, stale!)).toBe(false);
    expect(await hosts.touch(host)).toBe(false);
    expect(await hosts.list()).toMatchObject([{ instance_id: 'next', hostname: 'box' }]);
  });

  it('takes its times from the database', async () => {
    await runtime('one').start();
    const [clock] = await store.execute<{ now: number }>({
      name: 'clock',
      postgres: `select ${NOW_MS.postgres} as now`,
      sqlite: `select ${NOW_MS.sqlite} as now`,
    });
    const [host] = await hosts.list();
    expect(Math.abs(Date.parse(host!.registered_at) - clock!.now)).toBeLessThan(10_000);
  });
});
