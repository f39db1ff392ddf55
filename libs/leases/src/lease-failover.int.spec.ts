import { randomUUID } from 'node:crypto';
import { describeToken, openStateStore, type StateStore, type Statement } from '@tyrum/statestore';
import { expireConversations } from '@tyrum/statestore/testing';
import { TurnStore } from '@tyrum/statestore/turns';
import { eventually, startMovableAddress, startOwnPostgres, startOwnStandby } from '@tyrum/test-services';
import { Leases, type HeldLease } from './leases';
import { expireLease } from './testing';

const NAME = { kind: 'test', name: 'shard' };
const REF = { tenantId: '00000000-0000-4000-8000-000000000001', conversationKey: 'agent:default:main' };
const TTL_MS = 600_000;

const appearReady: Statement = {
  name: 'appear-ready',
  postgres: `insert into conversation_queue (tenant_id, conversation_key, state, due_at) values ($1, $2, 'ready', 0)`,
  sqlite: '',
};

describe('leases and the loss of commits', () => {
  it('gives no token twice when a failover forgets those given last', async () => {
    const primary = await startOwnPostgres();
    await (await openStateStore({ kind: 'postgres', url: primary.url })).close();
    const standby = await startOwnStandby(primary);
    const address = await startMovableAddress(primary.port);
    const store = await openStateStore({ kind: 'postgres', url: address.through(primary.url) });
    try {
      const leases = new Leases(store);
      const turns = new TurnStore(store);
      await store.execute(appearReady, [REF.tenantId, REF.conversationKey]);
      const received = [await takeLease(store, leases, 'a'), await takeConversation(store, turns, 'a')];
      expect(received.map(describeToken)).toEqual(['1.1', '1.1']);
      await standby.caughtUp();

      await standby.stopReceiving();
      const lost: { lease: HeldLease; conversation: number }[] = [];
      for (const owner of ['b', 'c']) {
        const lease = { ...NAME, token: await takeLease(store, leases, owner) };
        lost.push({ lease, conversation: await takeConversation(store, turns, owner) });
      }
      await standby.promote();
      address.pointTo(standby.port);
      address.cut();

      // What the failover left: the holder before b and c.
      const token = await eventually(() => takeLease(store, leases, 'd'));
      const conversation = await takeConversation(store, turns, 'd');
      expect([token, conversation].map(describeToken)).toEqual(['2.1', '2.1']);
      const history = await leases.history(NAME, 1);
      expect(history).toMatchObject([{ owner: 'd', taken_from: 'a', token }]);
      for (const holder of lost) {
        expect(holder.lease.token).toBeLessThan(token);
        expect(await store.transaction((tx) => leases.isHeld(tx, holder.lease))).toBe(false);
        expect(await turns.renew([{ ref: REF, token: holder.conversation }], TTL_MS)).toMatchObject({ held: [false] });
      }
      expect(await takeLease(store, leases, 'e')).toBe(token + 1);
    } finally {
      await store.close();
      await address.close();
      await Promise.all([primary.stop(), standby.stop()]);
    }
  });
});

async function takeLease(store: StateStore, leases: Leases, owner: string): Promise<number> {
  await expireLease(store, NAME);
  const lease = await leases.acquire(NAME, owner, TTL_MS);
  if (!lease) throw new Error(`${owner} should have got the lease`);
  return lease.token;
}

async function takeConversation(store: StateStore, turns: TurnStore, owner: string): Promise<number> {
  await expireConversations(store);
  const [claimed] = await turns.claim(`${owner}-${randomUUID()}`, TTL_MS, 1);
  if (!claimed) throw new Error(`${owner} should have got the conversation`);
  return claimed.token;
}
