import { randomUUID } from 'node:crypto';
import type { StateStore, Tx } from '../state-store';
import { describeOnBothDialects, expireConversations } from '../testing';
import { NotAsHopedError, settleTurns } from './settle-turns';
import { TurnStore } from './turn-store';
import type { ConversationWrite } from './turn-writes';

const REF = { tenantId: randomUUID(), conversationKey: 'agent:default:main' };
const TTL_MS = 60_000;

const sql = (name: string, text: string) => ({ name, postgres: text, sqlite: text });

describeOnBothDialects('settling', (stores) => {
  let store: StateStore;
  let turns: TurnStore;
  let turnId: string;

  beforeEach(async () => {
    store = await stores().open();
    turns = new TurnStore(store);
    turnId = randomUUID();
    await store.transaction((tx) => enqueue(tx, turnId));
  });

  async function enqueue(tx: Tx, id: string): Promise<void> {
    const columns = { tenant_id: REF.tenantId, conversation_key: REF.conversationKey };
    const [agent_key, channel, thread_id, title] = ['default', 'main', 'main', ''];
    const nobody = { account_key: null, container_kind: null };
    const conversation = { ...columns, ...nobody, agent_key, channel, thread_id, title };
    const about = { kind: 'workflow', trigger_kind: 'test', input: '{}', budgets: null } as const;
    const turn = { ...columns, ...about, turn_id: id };
    await tx.lockConversations([REF]);
    await turns.enqueue(tx, [{ conversation, turns: [turn], messages: [], events: 1 }]);
  }

  /** What a lease holder writes that has come to a step. */
  const atStep = (token: number, index: number): ConversationWrite => {
    const running = {
      action: '{}',
      effect: 'read',
      status: 'running',
      attempts: 1,
      result: null,
      error: null,
    } as const;
    const steps = [{ turn_id: turnId, step_index: index, ...running }];
    return { ...REF, token, steps, messages: [], events: 2, next: { kind: 'keep' } };
  };
  const claim = async () => (await turns.claim('one process', TTL_MS, 1))[0]?.token ?? 0;
  const settle = (writes: readonly ConversationWrite[], hopeful: boolean) =>
    store.transaction(async (tx) => {
      await tx.lockConversations([REF]);
      return (await settleTurns(tx, writes, { hopeful })).written;
    });

  it.each([
    ['first', [0, 1]],
    ['last', [1, 0]],
  ])('refuses a process its own stale write in one commit with its good one, the stale one %s', async (_, order) => {
    const stale = await claim();
    await expireConversations(store);
    const current = await claim();
    const writes = order.map((i) => [atStep(stale, 7), atStep(current, 0)][i] as ConversationWrite);
    await expect(settle(writes, true)).rejects.toThrow(NotAsHopedError);
    const written = await settle(writes, false);
    expect(written.map(({ applied }) => applied)).toEqual(writes.map(({ token }) => token === current));
    // Behind `conversation.created` and `turn.queued`.
    expect(written.find(({ applied }) => applied)?.firstEventSeq).toBe(3);
    const steps = await store.read((db) => turns.steps(db, REF.tenantId, turnId));
    expect(steps.map(({ step_index }) => step_index)).toEqual([0]);
    const [queue] = await store.transaction((tx) => turns.hold(tx, [REF]));
    expect(queue?.last_event_seq).toBe(4);
  });

  describe('where the open turns begin', () => {
    const ending = (token: number | null, id: string, turnSeq: number): ConversationWrite => {
      const turn = { turnId: id, turnSeq, status: 'succeeded', attempt: 1 } as const;
      return { ...REF, token, turn, steps: [], messages: [], events: 0, dequeued: 1, next: { kind: 'keep' } };
    };
    const begins = async () => {
      const [row] = await store.execute<{ open_from: number }>(
        sql('begins', 'select open_from from conversation_queue'),
      );
      return row?.open_from;
    };
    const another = async () => {
      const id = randomUUID();
      await store.transaction((tx) => enqueue(tx, id));
      return id;
    };

    it.each([true, false])('is behind the turn that its holder ended (hopeful: %s)', async (hopeful) => {
      const second = await another();
      const token = await claim();
      await settle([ending(token, turnId, 1)], hopeful);
      expect(await begins()).toBe(2);
      expect((await turns.loadWork(REF, 10)).map(({ turn }) => turn.turn_id)).toEqual([second]);
    });

    it('does not pass an open turn when somebody else ends one behind it', async () => {
      const second = await another();
      await settle([ending(null, second, 2)], false);
      expect(await begins()).toBe(0);
      expect((await turns.loadWork(REF, 10)).map(({ turn }) => turn.turn_id)).toEqual([turnId]);
    });
  });
});
