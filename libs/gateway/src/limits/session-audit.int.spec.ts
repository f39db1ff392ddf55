import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { memoryLogger } from '@tyrum/platform/testing';
import { portable, StoreUnavailableError, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { SessionAudit, type SessionBegun } from './session-audit';

const WINDOW_MS = 10 * 60_000;
const written = portable('written', 'select tenant_id, notes from audit_pending order by pending_id');

describeOnBothDialects('sessions over the WebSocket', (stores: () => TestStores) => {
  let store: StateStore;
  let nowMs: number;
  beforeEach(async () => {
    store = await stores().open();
    nowMs = 1_000_000;
  });

  const audit = (on: Pick<StateStore, 'transaction'> = store, logger = memoryLogger().logger) =>
    new SessionAudit({ store: on as StateStore, logger }, () => nowMs);
  const session = (of: Partial<SessionBegun> = {}): SessionBegun => ({
    tenantId: DEFAULT_TENANT_ID,
    tokenId: 'a',
    role: 'client',
    deviceId: 'dev_1',
    ...of,
  });
  const notes = async () =>
    (await store.execute<{ notes: string }>(written)).flatMap((row) => JSON.parse(row.notes) as Note[]);
  interface Note {
    readonly type: string;
    readonly actor: string;
    readonly detail: { readonly count: number; readonly devices: string[] };
  }

  it('are told of at once, and those that follow when the window is over', async () => {
    const one = audit();
    one.note(session());
    await one.flush();
    const first = {
      type: 'session.begun',
      actor: 'token:a',
      detail: { door: 'ws', role: 'client', devices: ['dev_1'], count: 1 },
    };
    expect(await notes()).toEqual([first]);
    for (let i = 0; i < 1_000; i += 1) one.note(session({ deviceId: `dev_${i % 3}` }));
    nowMs += WINDOW_MS - 1;
    await one.flush();
    expect(await notes()).toHaveLength(1);
    nowMs += 1;
    await one.flush();
    const more = { door: 'ws', role: 'client', devices: ['dev_0', 'dev_1', 'dev_2'], count: 1_000 };
    expect(await notes()).toEqual([first, { ...first, detail: more }]);
    // Nothing came since: the next is the first one again.
    nowMs += WINDOW_MS;
    await one.flush();
    one.note(session());
    await one.flush();
    expect((await notes()).slice(2)).toEqual([first]);
  });

  it('of another token or role have an entry of their own', async () => {
    const one = audit();
    one.note(session());
    one.note(session({ tokenId: 'b' }));
    one.note(session({ role: 'node' }));
    await one.flush();
    expect((await notes()).map(({ actor }) => actor)).toEqual(['token:a', 'token:b', 'token:a']);
  });

  it('are all written before the edge stops', async () => {
    const one = audit();
    one.note(session());
    await one.flush();
    one.note(session());
    await one.close();
    expect((await notes()).map(({ detail }) => detail.count)).toEqual([1, 1]);
  });

  it('name some of the devices that one token comes with, and count all', async () => {
    const one = audit();
    for (let i = 0; i < 500; i += 1) one.note(session({ deviceId: `dev_${i}` }));
    await one.flush();
    const [{ detail } = { detail: { devices: [], count: 0 } }] = await notes();
    expect([detail.devices.length, detail.count]).toEqual([20, 500]);
  });

  it('take bounded room, and what is beyond it is counted in the log', async () => {
    const { logger, lines } = memoryLogger();
    const one = audit(store, logger);
    for (let i = 0; i < 20_010; i += 1) one.note(session({ tokenId: `t${i}` }));
    await one.close();
    expect(await notes()).toHaveLength(20_000);
    expect(lines).toContainEqual(expect.objectContaining({ sessions: 10 }));
  });

  it('wait while the database is away', async () => {
    let away = true;
    const transaction = ((work) =>
      away
        ? Promise.reject(new StoreUnavailableError('away', 100))
        : store.transaction(work)) as StateStore['transaction'];
    const one = audit({ transaction });
    one.note(session());
    await one.flush();
    one.note(session({ deviceId: 'dev_2' }));
    away = false;
    await one.flush();
    expect((await notes()).map(({ detail }) => detail)).toMatchObject([{ count: 2, devices: ['dev_1', 'dev_2'] }]);
  });
});
