import { randomUUID } from 'node:crypto';
import { createPostgresDatabase, eventually, type TestDatabase } from '@tyrum/test-services';
import { NOW_MS } from '../clock-sql';
import { PostgresStateStore } from '../postgres-state-store';
import type { StateStore, Statement } from '../state-store';
import { expireConversations } from '../testing';
import { ClaimRing } from './claim-ring';
import { settleTurns } from './settle-turns';
import { TurnStore } from './turn-store';
import type { ConversationWrite, TurnPatch } from './turn-writes';

const REF = { tenantId: randomUUID(), conversationKey: 'agent:default:main' };
const TTL_MS = 60_000;
const GATE = 7;

const sql = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: '' });
const shut = sql(`select pg_advisory_xact_lock(${GATE})`);
const isAwaited = sql(`select 1 as found from pg_locks
  where locktype = 'advisory' and objid = ${GATE} and not granted
    and database = (select oid from pg_database where datname = current_database())`);

/** On SQLite a claim holds the write lock before it reads anything. */
describe('a claim whose snapshot is older than what the last holder committed', () => {
  let database: TestDatabase;
  let store: PostgresStateStore;
  let gatekeeper: PostgresStateStore;
  let turns: TurnStore;
  const ids = [randomUUID(), randomUUID()] as const;

  beforeEach(async () => {
    database = await createPostgresDatabase();
    store = await PostgresStateStore.open({ url: database.url, poolSize: 5 });
    gatekeeper = await PostgresStateStore.open({ url: database.url, poolSize: 1 });
    turns = new TurnStore(store);
    const columns = { tenant_id: REF.tenantId, conversation_key: REF.conversationKey };
    const names = { agent_key: 'default', channel: 'main', thread_id: 'main', title: '' };
    const conversation = { ...columns, ...names, account_key: null, container_kind: null };
    const about = { kind: 'workflow', trigger_kind: 'test', input: '{}', budgets: null } as const;
    await store.transaction(async (tx) => {
      await tx.lockConversations([REF]);
      const queued = ids.map((turn_id) => ({ ...columns, ...about, turn_id }));
      await turns.enqueue(tx, [{ conversation, turns: queued, messages: [], events: 1 }]);
    });
  });

  afterEach(async () => {
    await Promise.all([store.close(), gatekeeper.close()]);
    await database.drop();
  });

  const claim = (claimant = turns, ring = new ClaimRing()) => claimant.claim('w', TTL_MS, 10, { ring, turnsEach: 10 });

  /** A claim that has its snapshot, and takes no row before `meanwhile` has happened. */
  async function claimAround(meanwhile: () => Promise<unknown>, hopes = false) {
    const now = `(select ${NOW_MS.postgres}`;
    const gated = (text: string) => text.replace(`${now})`, `${now} from (${shut.postgres}) as gate)`);
    const slow = Object.create(store, {
      execute: {
        value: (statement: Statement, params: []) =>
          store.execute({ ...statement, name: 'gated', postgres: gated(statement.postgres as string) }, params),
      },
    }) as StateStore;
    let claiming: ReturnType<typeof claim> | undefined;
    await gatekeeper.transaction(async (tx) => {
      await tx.query(shut);
      claiming = claim(new TurnStore(slow), Object.assign(new ClaimRing(), { more: !hopes }));
      await eventually(async () => expect(await store.execute(isAwaited)).toHaveLength(1));
      await meanwhile();
    });
    return (await claiming)?.map((claimed) => claimed.turns.map(({ turn_id, status }) => [turn_id, status]));
  }

  const write = (token: number, next: ConversationWrite['next'], changes: Partial<ConversationWrite>) =>
    store.transaction(async (tx) => {
      await tx.lockConversations([REF]);
      const { written } = await settleTurns(tx, [
        { ...REF, token, steps: [], messages: [], events: 0, next, ...changes },
      ]);
      expect(written).toMatchObject([{ applied: true }]);
    });
  const patch = (n: 0 | 1, status: TurnPatch['status']): TurnPatch => ({
    turnId: ids[n],
    turnSeq: n + 1,
    status,
    attempt: 1,
  });

  it('finds the turn running that the last holder started when its lease had run out', async () => {
    const token = (await claim())[0]?.token ?? 0;
    await expireConversations(store);
    const started = { turn: patch(0, 'running'), steps: [], events: 0 };
    const claimed = await claimAround(() => write(token, { kind: 'keep' }, { starts: [started] }));
    expect(claimed).toEqual([
      [
        [ids[0], 'running'],
        [ids[1], 'queued'],
      ],
    ]);
  });

  it('does not find a turn that the last holder ended when its lease had run out', async () => {
    const token = (await claim())[0]?.token ?? 0;
    await write(token, { kind: 'keep' }, { starts: [{ turn: patch(0, 'running'), steps: [], events: 0 }] });
    await expireConversations(store);
    const following = { turn: patch(1, 'running'), steps: [], events: 0 };
    const claimed = await claimAround(() =>
      write(token, { kind: 'keep' }, { turn: patch(0, 'succeeded'), starts: [following] }),
    );
    expect(claimed).toEqual([[[ids[1], 'running']]]);
  });

  it.each([
    ['goes round', false],
    ['hopes for all', true],
  ])('finds the turn paused that another holder began and put off in between, if it %s', async (_, hopes) => {
    const claimed = await claimAround(async () => {
      const token = (await claim())[0]?.token ?? 0;
      const putOff = { turn: patch(0, 'paused'), steps: [], events: 0 };
      await write(token, { kind: 'retry', dueMs: 0 }, { starts: [putOff] });
    }, hopes);
    expect(claimed).toEqual([
      [
        [ids[0], 'paused'],
        [ids[1], 'queued'],
      ],
    ]);
  });
});
