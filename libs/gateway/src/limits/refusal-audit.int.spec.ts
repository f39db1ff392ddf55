import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { memoryLogger } from '@tyrum/platform/testing';
import { storedEvents } from '@tyrum/outbox/testing';
import { StoreUnavailableError, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { RefusalAudit, type Refusal } from './refusal-audit';

describeOnBothDialects('refusals', (stores: () => TestStores) => {
  let store: StateStore;
  let metric: number;
  beforeEach(async () => {
    store = await stores().open();
    metric = 0;
  });

  const audit = (on: Pick<StateStore, 'transaction'> = store, logger = memoryLogger().logger) =>
    new RefusalAudit(
      { store: on as StateStore, logger, wake: () => undefined },
      { newId: randomUUID, nowMs: () => Date.now() },
      () => void (metric += 1),
    );
  const refusal = (reason: string): Refusal => ({
    type: 'auth.failed',
    tenantId: DEFAULT_TENANT_ID,
    door: 'http',
    reason,
  });
  const counts = async () =>
    (await store.read(storedEvents))
      .filter(({ type }) => type === 'auth.failed')
      .map(({ payload }) => payload as { count: number });

  it('take bounded room under a flood, and every copy is counted', async () => {
    const { logger, lines } = memoryLogger();
    const one = audit(store, logger);
    for (let i = 0; i < 100_000; i += 1) one.note(refusal(`r${i % 1_000}`));
    await one.flush();
    const rows = await counts();
    expect(rows).toHaveLength(200);
    expect(rows.every(({ count }) => count === 100)).toBe(true);
    expect(metric).toBe(100_000);
    expect(lines).toContainEqual(expect.objectContaining({ refusals: 80_000 }));
  });

  it('wait while the database is away, and are written with the next ones', async () => {
    let away = true;
    const transaction = ((work) =>
      away
        ? Promise.reject(new StoreUnavailableError('away', 100))
        : store.transaction(work)) as StateStore['transaction'];
    const one = audit({ transaction });
    one.note(refusal('a'));
    await one.flush();
    one.note(refusal('a'));
    away = false;
    await one.flush();
    expect(await counts()).toMatchObject([{ reason: 'a', count: 2 }]);
  });
});
