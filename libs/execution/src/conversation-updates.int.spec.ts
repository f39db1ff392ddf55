import { OutboxReader } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID, LIMITS, type Action, type Conversation } from '@tyrum/protocol';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

const CHAT = 'agent:default:main';
const TARGET = 'agent:default:ui:default:channel:target';

describeOnBothDialects('a conversation that is talked in', (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  /** All events, having seen that each conversation's are numbered without a gap. */
  async function events() {
    const reader = new OutboxReader(engine.store);
    const { events: all } = await reader.readAfter({ ...(await reader.head()), xid: '0', id: '0' }, 1_000);
    for (const key of [CHAT, TARGET]) {
      const own = all.filter(({ conversationKey }) => conversationKey === key);
      expect(own.map(({ conversationSeq }) => conversationSeq)).toEqual(own.map((_, i) => i + 1));
    }
    return all;
  }
  /** What was told of a conversation until it had so many messages; on Postgres a commit may be read a moment later. */
  const updates = (key: string, messages: number) =>
    eventually(async () => {
      const told = (await events())
        .filter(({ type, conversationKey }) => type === 'conversation.updated' && conversationKey === key)
        .map(({ payload }) => (payload as { conversation: Conversation }).conversation);
      expect(told.at(-1)?.message_count).toBe(messages);
      return told;
    });
  const ended = (id: string) =>
    eventually(async () => {
      const row = await engine.store.read((db) => engine.turns.find(db, DEFAULT_TENANT_ID, id));
      expect(row?.status).toBe('succeeded');
    });

  it('is told of as each commit leaves it, without its messages', async () => {
    engine.process(
      new ScriptedExecutor(() => Promise.resolve({ kind: 'succeeded', result: { text: 'an answer', calls: [] } })),
    );
    await ended(await engine.say(CHAT, 'a question'));
    const told = await updates(CHAT, 2);
    expect(told).toMatchObject([
      { message_count: 1, last_message: { role: 'user', text: 'a question' }, messages: [] },
      { message_count: 2, last_message: { role: 'assistant', text: 'an answer' }, messages: [] },
    ]);
    const now = await engine.conversations.get({ tenantId: DEFAULT_TENANT_ID, conversationKey: CHAT });
    expect(told.at(-1)).toEqual({ ...now, messages: [] });
  });

  it('begins anew when something comes after it was deleted, and its events are numbered on', async () => {
    engine.process(new ScriptedExecutor(() => Promise.resolve({ kind: 'succeeded', result: {} })));
    const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey: TARGET };
    const deleted = () => engine.store.transaction((tx) => engine.conversations.deleteIn(tx, ref));
    const post = { type: 'Message', args: { conversation_key: TARGET, text: 'hello' } } as Action;
    await ended(await engine.start(TARGET, [cliStep('x')]));
    expect(await deleted()).toBe('deleted');
    await ended(await engine.start(TARGET, [cliStep('y')]));
    expect(await engine.conversations.exists(ref)).toBe(true);
    expect(await deleted()).toBe('deleted');
    await ended(await engine.start(CHAT, [post]));
    expect(await updates(TARGET, 1)).toHaveLength(1);
    expect(await deleted()).toBe('deleted');
    await ended(await engine.start(CHAT, [post]));
    await eventually(async () => {
      const made = (await events()).filter(({ type }) => type === 'conversation.created');
      expect(made.map(({ conversationKey }) => conversationKey)).toEqual([TARGET, TARGET, CHAT, TARGET, TARGET]);
    });
  });

  it('is told of once a commit, however many messages came with it', async () => {
    await Promise.all(['a', 'b', 'c', 'd'].map((text) => engine.say(CHAT, text)));
    const told = await updates(CHAT, 4);
    expect((await events()).filter(({ type }) => type === 'message.final')).toHaveLength(4);
    expect(told.length).toBeLessThan(4);
  });

  it('is told of where a step of another conversation posts a message, after it was made', async () => {
    engine.process(new ScriptedExecutor(() => Promise.reject(new Error('a message is posted by the engine'))));
    const action = { type: 'Message' as const, args: { conversation_key: TARGET, text: 'posted' } };
    await ended(await engine.start(CHAT, [action]));
    expect(await updates(TARGET, 1)).toMatchObject([{ message_count: 1, last_message: { text: 'posted' } }]);
    const all = await events();
    const typesOf = (key: string) => all.filter((event) => event.conversationKey === key).map(({ type }) => type);
    expect(typesOf(TARGET)).toEqual(['conversation.created', 'message.final', 'conversation.updated']);
    expect(typesOf(CHAT)).not.toContain('conversation.updated');
  });

  it('shows a long last message in part, and whole characters of it', async () => {
    await engine.say(CHAT, 'x'.repeat(LIMITS.lastMessageShown - 2) + '🙂 and more');
    const [told] = await updates(CHAT, 1);
    expect(told?.last_message?.text).toBe('x'.repeat(LIMITS.lastMessageShown - 2) + '…');
  });
});
