import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPostgresDatabase, startOwnPostgres, eventually, type AppProcess } from '@tyrum/test-services';
import { Deployment, shell } from './deployment';
import { Load } from './load';

const CONVERSATIONS = Array.from({ length: 20 }, (_, i) => `agent:default:load:dm:peer-${i}`);

describe('a cluster on Postgres', () => {
  it('runs 200 turns over 20 conversations, in order in each, with two workers and two schedulers', async () => {
    const database = await createPostgresDatabase();
    const tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url });
    try {
      await tyrum.start('edge');
      await Promise.all([
        tyrum.start('worker'),
        tyrum.start('worker'),
        tyrum.start('scheduler'),
        tyrum.start('scheduler'),
      ]);
      const accepted = await Promise.all(
        CONVERSATIONS.map(async (key, c) => {
          const ids: string[] = [];
          for (let i = 0; i < 10; i += 1) ids.push(await tyrum.startTurn(key, [shell(`echo ${i} >> order-${c}`)]));
          return ids;
        }),
      );
      const turns = await Promise.all(accepted.flat().map((id) => tyrum.ended(id, 60_000)));
      expect(turns.map(({ turn }) => turn.status)).toEqual(Array.from({ length: 200 }, () => 'succeeded'));
      for (const c of CONVERSATIONS.keys()) {
        const order = readFileSync(join(tyrum.workspace, `order-${c}`), 'utf8');
        expect(order).toBe('0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n');
      }
    } finally {
      await tyrum.stop();
      await database.drop();
    }
  }, 240_000);

  it('fires each instant of a schedule once with two schedulers running', async () => {
    const database = await createPostgresDatabase();
    const tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url });
    try {
      await tyrum.start('edge');
      await Promise.all([tyrum.start('worker'), tyrum.start('scheduler'), tyrum.start('scheduler')]);
      const conversationKey = 'agent:default:tick:dm:clock';
      const created = await tyrum.call('POST', '/v1/schedules', {
        kind: 'heartbeat',
        cadence: { type: 'interval', interval_ms: 1_000 },
        execution: { kind: 'steps', conversation_key: conversationKey, steps: [shell('echo tick >> ticks')] },
      });
      expect(created.status).toBe(201);
      const fired = async () => {
        const answer = await tyrum.call('GET', '/v1/turns?limit=200');
        const { turns } = (await answer.json()) as { turns: { conversation_key: string; trigger_kind: string }[] };
        return turns.filter((turn) => turn.conversation_key === conversationKey);
      };
      const startedAt = Date.now();
      await eventually(async () => expect((await fired()).length).toBeGreaterThanOrEqual(5), { timeoutMs: 20_000 });
      const turns = await fired();
      // Two schedulers that did not exclude each other would make nearly twice as many.
      expect(turns.length).toBeLessThanOrEqual(Math.ceil((Date.now() - startedAt) / 1_000) + 1);
      expect(new Set(turns.map((turn) => turn.trigger_kind))).toEqual(new Set(['schedule']));
    } finally {
      await tyrum.stop();
      await database.drop();
    }
  }, 240_000);

  it('survives a crash of Postgres under load: no process exits, no acknowledged turn is lost', async () => {
    const postgres = await startOwnPostgres();
    const tyrum = new Deployment({ TYRUM_DATABASE_URL: postgres.url, TYRUM_LEASE_TTL_MS: '3000' });
    try {
      const apps: AppProcess[] = [
        await tyrum.start('edge'),
        ...(await Promise.all([tyrum.start('worker'), tyrum.start('worker'), tyrum.start('scheduler')])),
      ];
      const load = new Load(tyrum, CONVERSATIONS.slice(0, 6));
      await load.progress();
      await postgres.restartImmediate();
      await load.progress();
      await load.stop();
      await load.expectAllThere(postgres.url);
      expect(apps.filter((app) => app.exitCode !== null)).toEqual([]);
    } finally {
      await tyrum.stop();
      await postgres.stop();
    }
  }, 240_000);
});
