import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DesktopHosts } from '@tyrum/desktops';
import { Leases } from '@tyrum/leases';
import { TwoPhaseLedger } from '@tyrum/idempotency';
import { TokenStore } from '@tyrum/identity';
import { DirectedMail } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { Retention } from './retention';

const DAY_MS = 24 * 60 * 60 * 1_000;
const KEPT_FOR = { turnsMs: 90 * DAY_MS, eventsMs: 7 * DAY_MS, historyMs: 30 * DAY_MS, auditMs: 365 * DAY_MS };

describeOnBothDialects('retention of the rest', (stores) => {
  let store: StateStore;
  let deleted: Record<string, number>;

  beforeEach(async () => {
    store = await stores().open();
    deleted = {};
  });

  const run = (text: string) => store.execute({ name: 'test', postgres: text, sqlite: text.trim() });
  const sweep = () =>
    new Retention(
      store,
      { owner: randomUUID(), intervalMs: 60_000, batch: 10, keptFor: KEPT_FOR },
      {
        deleted: (table, rows) => (deleted[table] = (deleted[table] ?? 0) + rows),
        swept: () => undefined,
        trouble: (_what, error) => {
          throw error;
        },
      },
    ).sweep();

  it('takes tokens that expired or were revoked long ago, and no admin’s', async () => {
    const now = Date.now();
    const tokens = new TokenStore(store);
    const issue = async (role: 'admin' | 'client', expiresAt?: number, subject?: string) =>
      (
        await tokens.issue({
          tenantId: DEFAULT_TENANT_ID,
          role,
          scopes: [],
          ...(expiresAt === undefined ? {} : { expiresAt }),
          ...(subject === undefined ? {} : { subject }),
        })
      ).record.token_id;
    const revokedAt = (id: string, at: number) =>
      run(`update auth_token set revoked_at = ${at} where token_id = '${id}'`);
    const kept = [await issue('client'), await issue('client', now + DAY_MS), await issue('client', now - 29 * DAY_MS)];
    const [admin, revoked] = [await issue('admin', now - 31 * DAY_MS), await issue('client')];
    await revokedAt(admin, now - 31 * DAY_MS);
    await revokedAt(revoked, now - 31 * DAY_MS);
    await issue('client', now - 31 * DAY_MS);
    // A session of an admin who logged in is no token that a boot could miss.
    await issue('admin', now - 31 * DAY_MS, 'https://login.example alice');
    await sweep();
    expect(deleted).toEqual({ auth_token: 3 });
    const left = await run('select token_id from auth_token');
    expect(left.map((row) => row['token_id']).sort()).toEqual([...kept, admin].sort());
  });

  it('takes desktop hosts that have been gone for long, and keeps the tokens of their leases', async () => {
    const leases = new Leases(store);
    const hosts = new DesktopHosts(store, leases);
    const register = async (hostId: string) => {
      const lease = await leases.acquire({ kind: 'desktop-host', name: hostId }, 'runtime', 60_000);
      if (!lease) throw new Error('free');
      await hosts.register({ hostId, instanceId: 'runtime', hostname: 'box', version: '1' }, lease);
      return lease;
    };
    await register('held');
    const gone = await register('gone');
    await run(`update desktop_host set last_seen_at = last_seen_at - ${31 * DAY_MS}`);
    await register('seen');
    await run(`update lease set expires_at = 0 where name <> 'held'`);
    await sweep();
    expect(deleted).toEqual({ desktop_host: 1 });
    expect((await hosts.list()).map(({ host_id }) => host_id).sort()).toEqual(['held', 'seen']);
    expect((await register('gone')).token).toBe(gone.token + 1);
  });

  it('frees a key whose holder died, once its hold is over', async () => {
    const request = { tenantId: DEFAULT_TENANT_ID, route: 'r', principal: 'p', key: 'k', fingerprint: 'f' };
    const ledger = new TwoPhaseLedger(store, { holdMs: 60_000 });
    await ledger.begin(request, 'dead');
    await sweep();
    expect(deleted).toEqual({});
    expect(await ledger.begin(request, 'next')).toEqual({ kind: 'in_flight' });
    await run(`update idempotency_record set expires_at = expires_at - 120000`);
    await sweep();
    expect(deleted).toEqual({ idempotency_record: 1 });
    expect(await ledger.begin(request, 'next')).toEqual({ kind: 'started' });
  });

  it('sends back what lies in the slot of a dead edge when no other edge does, and forgets it a day later', async () => {
    const mail = new DirectedMail(store);
    const message = {
      messageId: randomUUID(),
      tenantId: DEFAULT_TENANT_ID,
      slot: 'dead',
      connectionId: 'c',
      origin: 'dispatch',
      payload: '{}',
      deliverWithinMs: 3_600_000,
    };
    await store.transaction((tx) => mail.send(tx, [message, { ...message, messageId: randomUUID(), origin: 'gone' }]));
    await sweep();
    expect(deleted).toEqual({});
    const returned = await store.transaction((tx) => mail.collect(tx, 'dispatch', 10));
    expect(returned.map(({ reason }) => reason)).toEqual(['edge_gone']);
    await run(`update directed_message set settled_at = settled_at - ${2 * DAY_MS}`);
    await sweep();
    expect(deleted).toEqual({ directed_message: 1 });
  });

  it('forgets approvals and dispatches long after they were settled, and none that is open', async () => {
    const turn = randomUUID();
    for (const [decided, place] of [
      ['null', 0],
      [Date.now(), 1],
      [Date.now() - 31 * DAY_MS, 2],
    ] as const) {
      await run(`insert into approval (approval_id, tenant_id, approval_key, kind, status, prompt, motivation, conversation_key,
          turn_id, step_index, binding_hash, created_at, decided_at)
        values ('${randomUUID()}', '${DEFAULT_TENANT_ID}', '${place}', 'policy', 'awaiting_human', '', '', 'c', '${turn}', 0, '', 0,
          ${decided})`);
      await run(`insert into dispatch (dispatch_id, tenant_id, conversation_key, turn_id, step_index, action, effect, capabilities,
          state, created_at, deadline_at, settled_at)
        values ('${randomUUID()}', '${DEFAULT_TENANT_ID}', 'c', '${turn}', ${place}, '{}', 'read', '[]',
          '${decided === 'null' ? 'sent' : 'settled'}', 0, 0, ${decided})`);
    }
    await sweep();
    expect(deleted).toEqual({ approval: 1, dispatch: 1 });
  });

  it('forgets readers that have not moved for long, and never how far retention has come', async () => {
    for (const consumer of ['#pruned', 'old', 'new']) {
      await run(`insert into outbox_cursor (consumer, xid, id, updated_at)
        values ('${consumer}', '0', 0, ${consumer === 'new' ? Date.now() : 0})`);
    }
    await sweep();
    expect(deleted).toEqual({ outbox_cursor: 1 });
  });
});

describe('docs/retention.md', () => {
  const page = readFileSync(join(__dirname, '../../../docs/retention.md'), 'utf8');
  const schema = readFileSync(join(__dirname, '../../statestore/schema/postgres.sql'), 'utf8');

  it('has a rule for every table, or says why it stays', () => {
    const tables = [...schema.matchAll(/^create table (\w+)/gm)].map((match) => match[1]);
    const ruled = [...page.matchAll(/^\| `(\w+)` +\| .{10}/gm)].map((match) => match[1]);
    expect(ruled.filter((name) => !name?.startsWith('TYRUM_')).sort()).toEqual(tables.sort());
  });
});
