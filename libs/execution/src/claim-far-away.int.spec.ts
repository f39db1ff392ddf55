import { randomUUID } from 'node:crypto';
import { LocalBackplane, type Backplane } from '@tyrum/backplane';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { StateStore, Statement } from '@tyrum/statestore';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

const both = (name: string, postgres: string): Statement => ({
  name,
  postgres,
  sqlite: postgres.replace(/\$(\d)(::\w+)*/g, '?$1'),
});
const addTenant = both('add-tenant', `insert into tenant (tenant_id, slug, created_at) values ($1::text::uuid, $1, 0)`);
/** As after a failure whose retry is due in an hour. */
const putOff = both('put-off', `update conversation_queue set due_at = due_at + 3600000 where state = 'ready'`);
/** Several times what a claim looks at, so that chance does not find them. */
const MANY = 300;

describeOnBothDialects('work that is due behind more lanes than one claim looks at', (stores: () => TestStores) => {
  let store: StateStore;
  let engine: TestEngine;

  beforeEach(async () => {
    store = await stores().open();
    // As between processes: what is published by others reaches this one.
    engine = new TestEngine(store, Object.assign(new LocalBackplane() as Backplane, { kind: 'postgres' as const }));
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await engine.stop();
  });

  const start = (tenantId: string, conversationKey: string) => {
    const turnId = randomUUID();
    return engine.intake.accept({
      ...{ tenantId, conversationKey, turnId, kind: 'workflow', triggerKind: 'workflow' },
      input: { steps: [cliStep('a')] },
      idempotency: { tenantId, route: 'test', principal: 'test', key: turnId, fingerprint: turnId },
      answer: { turn_id: turnId },
    });
  };
  const manyTenants = async () => {
    const ids = Array.from({ length: MANY }, () => randomUUID());
    for (const tenantId of ids) await store.execute(addTenant, [tenantId]);
    await Promise.all(ids.map((tenantId) => start(tenantId, 'agent:default:main')));
  };
  const manyAgents = () =>
    Promise.all(Array.from({ length: MANY }, (_, i) => start(DEFAULT_TENANT_ID, `agent:a${100 + i}:main`)));

  it.each([
    ['agents', manyAgents, false],
    ['agents', manyAgents, true],
    ['tenants', manyTenants, false],
    ['tenants', manyTenants, true],
  ])('runs when it comes, without waiting for a poll: %s (%#)', async (_, makeMany, claimsAlong) => {
    await makeMany();
    await store.execute(putOff);
    const ran: string[] = [];
    const executor = new ScriptedExecutor(({ conversationKey }) => {
      ran.push(conversationKey);
      return Promise.resolve({ kind: 'succeeded', result: {} });
    });
    const looks = jest.spyOn(engine.turns, 'msUntilDue');
    engine.process(executor, { claimsAlong });
    while (looks.mock.results.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await looks.mock.results[0]?.value;
    // A second look comes a millisecond after the first, and calls of others up to 50 ms late; the poll's own pauses stand still.
    const { setTimeout: real } = globalThis;
    jest
      .spyOn(globalThis, 'setTimeout')
      .mockImplementation(((action: () => void, ms = 0) =>
        ms <= 50 ? real(action, ms) : real(() => undefined, 0)) as typeof setTimeout);
    for (let i = 0; i < 5; i += 1) {
      await start(DEFAULT_TENANT_ID, `agent:zzz:dm:${i}`);
      for (const deadline = Date.now() + 10_000; ran.length <= i;) {
        if (Date.now() > deadline) throw new Error(`number ${i} waited in vain`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  });
});
