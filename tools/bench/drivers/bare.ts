import { randomUUID } from 'node:crypto';
import { appendEvents } from '@tyrum/outbox';
import type { StateStore } from '@tyrum/statestore';
import { settleTurns, type ConversationWrite, type Enqueue } from '@tyrum/statestore/turns';
import { Engine, toRequest } from '../engine';
import type { Driver } from './driver';

/*
 * The statements without the engine around them: batches made beforehand, one transaction after the other on one
 * connection. What the schema and the database allow, and nothing to compare with a peer's public call.
 */

const EVENT_TYPES_A_TURN = ['turn.started', 'turn.completed'] as const;
const OWNER = 'bench-bare';
const TTL_MS = 60_000;

/** Idempotency records, turns and events, `batch` a commit. */
export const bareAccept: Driver = async ({ database, number }) => {
  const engine = await Engine.open(database);
  const [batch, conversations, durationMs] = [number('batch'), number('conversations'), number('durationMs')];
  let accepted = 0;
  const startedAt = performance.now();
  while (performance.now() - startedAt < durationMs) {
    await acceptBatch(
      engine,
      Array.from({ length: batch }, (_, i) => `k${(accepted + i) % conversations}`),
    );
    accepted += batch;
  }
  const elapsedMs = performance.now() - startedAt;
  await engine.close();
  return { rate: accepted / (elapsedMs / 1_000) };
};

/** Claim, load, fenced settle and two events a turn, all turns of a claim in one commit. */
export const bareDrain: Driver = async ({ database, number }) => {
  const engine = await Engine.open(database);
  const [jobs, keys, claim] = [number('jobs'), number('keys'), number('claim')];
  for (let i = 0; i < jobs; i += 500) {
    await acceptBatch(
      engine,
      Array.from({ length: Math.min(500, jobs - i) }, (_, n) => `k${(i + n) % keys}`),
    );
  }
  const startedAt = performance.now();
  let settled = 0;
  for (;;) {
    const claimed = await engine.turns.claim(OWNER, TTL_MS, claim, { turnsEach: number('turnsEach') });
    if (claimed.length === 0) break;
    const work = await engine.turns.workOf(claimed);
    for (let nth = 0; work.some((turns) => turns.length > nth); nth += 1) {
      const writes = claimed.flatMap((conversation, i): ConversationWrite[] => {
        const open = work[i]?.[nth];
        if (!open) return [];
        const last = work[i]?.length === nth + 1;
        return [
          {
            ...conversation,
            turn: { turnId: open.turn.turn_id, turnSeq: open.turn.turn_seq, status: 'succeeded', attempt: 1 },
            steps: [],
            messages: [],
            events: EVENT_TYPES_A_TURN.length,
            dequeued: 1,
            next: { kind: last ? 'release' : 'keep' },
          },
        ];
      });
      settled += await settle(engine, writes);
    }
  }
  const elapsedMs = performance.now() - startedAt;
  const left = await engine.remaining();
  if (left > 0 || settled !== jobs) throw new Error(`${settled} of ${jobs} were settled, ${left} are open`);
  await engine.close();
  return { rate: settled / (elapsedMs / 1_000) };
};

async function acceptBatch(engine: Engine, keys: readonly string[]): Promise<void> {
  const requests = keys.map((key) => toRequest({ id: randomUUID(), key }));
  const byConversation = new Map<string, typeof requests>();
  for (const request of requests) {
    const group = byConversation.get(request.conversationKey);
    if (group) group.push(request);
    else byConversation.set(request.conversationKey, [request]);
  }
  const batch: Enqueue[] = [...byConversation.values()].map((group) => ({
    conversation: conversationOf(group[0] as (typeof requests)[number]),
    turns: group.map((request) => ({
      tenant_id: request.tenantId,
      turn_id: request.turnId,
      conversation_key: request.conversationKey,
      kind: request.kind,
      trigger_kind: request.triggerKind,
      input: JSON.stringify(request.input),
      budgets: null,
    })),
    messages: [],
    events: group.length,
  }));
  await engine.store.transaction(async (tx) => {
    void tx.lockConversations(requests);
    await engine.ledger.reserveAll(
      tx,
      requests.map((request) => ({ ...request.idempotency, response: JSON.stringify(request.answer) })),
    );
    const enqueued = await engine.turns.enqueue(tx, batch);
    const events = batch.flatMap((each, i) =>
      each.turns.map((turn, n) =>
        eventOf(each.conversation, turn.turn_id, 'turn.queued', (enqueued[i]?.firstEventSeq ?? 0) + n),
      ),
    );
    void appendEvents(tx, events);
  });
}

async function settle(engine: Engine, writes: readonly ConversationWrite[]): Promise<number> {
  return (engine.store as StateStore).transaction(async (tx) => {
    void tx.lockConversations(writes);
    const { written } = await settleTurns(tx, writes, { hopeful: true });
    const events = writes.flatMap((write, i) => {
      const { applied = false, firstEventSeq = 0 } = written[i] ?? {};
      const owner = { tenant_id: write.tenantId, conversation_key: write.conversationKey };
      const turnId = write.turn?.turnId ?? '';
      return applied ? EVENT_TYPES_A_TURN.map((type, n) => eventOf(owner, turnId, type, firstEventSeq + n)) : [];
    });
    void appendEvents(tx, events);
    return written.filter(({ applied }) => applied).length;
  });
}

function conversationOf({ tenantId, conversationKey }: { tenantId: string; conversationKey: string }) {
  return {
    tenant_id: tenantId,
    conversation_key: conversationKey,
    agent_key: 'default',
    channel: 'main',
    account_key: null,
    container_kind: 'dm' as const,
    thread_id: conversationKey.slice(conversationKey.lastIndexOf(':') + 1),
    title: '',
  };
}

function eventOf(owner: { tenant_id: string; conversation_key: string }, turnId: string, type: string, seq: number) {
  return {
    type,
    turnId,
    scope: { kind: 'turn' as const, id: turnId },
    payload: { turn_id: turnId },
    eventId: randomUUID(),
    tenantId: owner.tenant_id,
    conversationKey: owner.conversation_key,
    conversationSeq: seq,
    occurredAt: Date.now(),
  };
}
