import { randomUUID } from 'node:crypto';
import { ScriptedExecutor, TestEngine, cliStep } from '@tyrum/execution/testing';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { Retention } from './retention';

const DAY_MS = 24 * 60 * 60 * 1_000;
const KEPT_FOR = { turnsMs: 90 * DAY_MS, eventsMs: 7 * DAY_MS, historyMs: 30 * DAY_MS, auditMs: 365 * DAY_MS };
const T = DEFAULT_TENANT_ID;
const MAIN = 'agent:default:main';

/** What has to do with turns, and the columns that say how old it is. */
const AGED = {
  turn: ['created_at', 'started_at', 'finished_at'],
  step: ['started_at', 'finished_at'],
  message: ['created_at'],
  artifact: ['created_at'],
  dead_letter: ['died_at'],
  wait: ['created_at', 'arrived_at'],
  conversation: ['created_at', 'updated_at'],
} as const;

describeOnBothDialects('retention of the work', (stores) => {
  let engine: TestEngine;
  let store: StateStore;
  let deleted: Record<string, number>;

  beforeEach(async () => {
    store = await stores().open();
    engine = new TestEngine(store);
    deleted = {};
  });
  afterEach(() => engine.stop());

  const run = (text: string) => store.execute({ name: 'test', postgres: text, sqlite: text.trim() });
  const count = async (table: string, where = 'true') =>
    Number((await run(`select count(*) as n from ${table} where ${where}`))[0]?.['n']);

  /** Lets time pass for all that there is. */
  const age = async (days: number) => {
    for (const [table, columns] of Object.entries(AGED)) {
      await run(`update ${table} set ${columns.map((c) => `${c} = ${c} - ${days * DAY_MS}`).join(', ')}`);
    }
  };

  const sweep = (batch = 1_000) =>
    new Retention(
      store,
      { owner: randomUUID(), intervalMs: 60_000, batch, keptFor: KEPT_FOR },
      {
        deleted: (table, rows) => (deleted[table] = (deleted[table] ?? 0) + rows),
        swept: () => undefined,
        trouble: (_what, error) => {
          throw error;
        },
      },
    ).sweep();

  /** Steps named `wait:<id>` wait for the signal <id>, `fail` fails, and `stay` stays until it is told to stop. */
  const executor = new ScriptedExecutor(async ({ action }, { signal }) => {
    const { cmd } = action.args as { cmd: string };
    if (cmd.startsWith('wait:')) return { kind: 'waiting', wait: { kind: 'signal', id: cmd.slice(5) } };
    if (cmd === 'stay') {
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve({ kind: 'interrupted' })));
    }
    return { kind: 'succeeded', result: { output: 'ok' } };
  });

  const until = (turnId: string, status: string) =>
    eventually(async () => expect((await engine.reader.get(T, turnId))?.turn.status).toBe(status), {
      timeoutMs: 20_000,
    });
  const addArtifact = (turnId: string | null) =>
    run(`insert into artifact (tenant_id, artifact_id, turn_id, kind, media_class, filename, size_bytes, sha256, labels, created_at)
      values ('${T}', '${randomUUID()}', ${turnId ? `'${turnId}'` : 'null'}, 'file', 'other', 'x', 1, '${'0'.repeat(64)}', '[]', ${Date.now()})`);
  const addDeadLetter = (turnId: string) =>
    run(`insert into dead_letter (tenant_id, turn_id, conversation_key, attempts, cause, died_at)
      values ('${T}', '${turnId}', '${MAIN}', 1, '{}', ${Date.now()})`);
  const tokenOf = async (key: string) => {
    const [row] = await store.transaction((tx) => engine.turns.hold(tx, [{ tenantId: T, conversationKey: key }]));
    return row?.lease_token;
  };

  it('takes an ended turn with all that belongs to it, and then its conversation', async () => {
    engine.process(executor);
    const turn = await engine.start(MAIN, [cliStep('a'), cliStep('b', 'once')]);
    await until(turn, 'succeeded');
    await addArtifact(turn);
    await addArtifact(null);
    await addDeadLetter(turn);
    await run(`insert into message (tenant_id, conversation_key, message_seq, message_id, turn_id, role, parts, created_at)
      values ('${T}', '${MAIN}', 1, 'm', '${turn}', 'user', '[]', ${Date.now()})`);
    await age(89);
    await sweep();
    expect(deleted).toEqual({});
    await age(2);
    await sweep();
    const gone = { turn: 1, step: 2, artifact: 2, dead_letter: 1, message: 1, conversation: 1, conversation_queue: 1 };
    expect(deleted).toEqual(gone);
    for (const table of Object.keys(gone)) expect(await count(table)).toBe(0);
  });

  it('begins a conversation anew above the lease tokens of the one it removed', async () => {
    engine.process(executor);
    for (let i = 0; i < 3; i += 1) await until(await engine.start(MAIN, [cliStep('a', 'once')]), 'succeeded');
    const token = (await tokenOf(MAIN)) ?? 0;
    expect(token).toBeGreaterThan(0);
    await age(91);
    await sweep();
    expect(await tokenOf(MAIN)).toBeUndefined();
    await until(await engine.start(MAIN, [cliStep('again', 'once')]), 'succeeded');
    expect(await tokenOf(MAIN)).toBeGreaterThan(token);
  });

  it('touches nothing of a turn that is not over, however old it is', async () => {
    engine.process(executor);
    const paused = await engine.start(MAIN, [cliStep('a'), cliStep('wait:s')]);
    const running = await engine.start('agent:default:x:dm:running', [cliStep('stay', 'once')]);
    await until(paused, 'paused');
    await until(running, 'running');
    const behind = await engine.start('agent:default:x:dm:running', [cliStep('a')]);
    const message = await engine.say('agent:default:x:dm:running', 'queued behind it');
    await addArtifact(paused);
    await engine.waits.arrive({
      tenantId: T,
      kind: 'signal',
      id: 'nobody',
      outcome: { kind: 'succeeded', result: {} },
    });
    await age(1_000);
    await sweep();
    expect(deleted).toEqual({ wait: 1 });
    expect(await count('wait', `wait_id = 's'`)).toBe(1);
    expect(await count('artifact')).toBe(1);
    expect(await count('message')).toBe(1);
    for (const turn of [paused, running, behind, message]) expect(await engine.reader.get(T, turn)).toBeDefined();
    await engine.waits.arrive({ tenantId: T, kind: 'signal', id: 's', outcome: { kind: 'succeeded', result: {} } });
    await until(paused, 'succeeded');
  });

  it('keeps an input for as long as the turn that took it is open', async () => {
    const open = await engine.start(MAIN, [cliStep('a')]);
    const [kept, other] = await Promise.all(
      ['taken', 'other'].map(async (text) => {
        const id = await engine.say(`agent:default:x:dm:${text}`, text);
        await engine.control.cancel(T, id);
        return id;
      }),
    );
    await run(`update turn set delivered_to = '${open}' where turn_id = '${kept}'`);
    await age(91);
    await sweep();
    expect(await engine.reader.get(T, kept as string)).toBeDefined();
    expect(await engine.reader.get(T, other as string)).toBeUndefined();
    expect(await count('message')).toBe(1);
  });

  it('keeps a conversation to which somebody has written since, and its newer turns', async () => {
    engine.process(executor);
    await until(await engine.start(MAIN, [cliStep('a')]), 'succeeded');
    await until(await engine.start('agent:default:x:dm:posted', [cliStep('a')]), 'succeeded');
    await age(91);
    await until(await engine.start(MAIN, [cliStep('b')]), 'succeeded');
    await run(`insert into message (tenant_id, conversation_key, message_seq, message_id, turn_id, role, parts, created_at)
      values ('${T}', 'agent:default:x:dm:posted', 1, 'm', null, 'user', '[]', ${Date.now()})`);
    await sweep();
    expect(deleted).toEqual({ turn: 2, step: 2 });
    expect(await count('turn')).toBe(1);
    expect(await count('conversation')).toBe(2);
    // Nothing of it is kept any more once its message is old.
    await age(91);
    await sweep();
    expect(await count('conversation_queue')).toBe(0);
  });

  it('passes over what stays and goes on where the sweep before ended', async () => {
    const open: string[] = [];
    for (let i = 0; i < 25; i += 1) open.push(await engine.start(`agent:default:x:dm:${i}`, [cliStep('a')]));
    const last = await engine.start('agent:default:x:dm:last', [cliStep('a')]);
    await engine.control.cancel(T, last);
    await age(91);
    await run(`update turn set created_at = created_at + 1000 where turn_id = '${last}'`);
    await sweep(10);
    expect(deleted).toMatchObject({ turn: 1 });
    expect(await count('turn')).toBe(25);
  });

  it('removes steps that have no turn', async () => {
    const turn = await engine.start(MAIN, [cliStep('a')]);
    for (const [turnId, steps] of [
      [turn, 1],
      [randomUUID(), 3],
    ] as const) {
      for (let i = 0; i < steps; i += 1) {
        await run(`insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, started_at)
          values ('${T}', '${turnId}', ${i}, '{}', 'read', 'succeeded', 1, ${Date.now()})`);
      }
    }
    await sweep();
    expect(deleted).toEqual({ step: 3 });
    expect(await count('step', `turn_id = '${turn}'`)).toBe(1);
  });
});
