import { randomBytes } from 'node:crypto';
import { DEFAULT_TENANT_ID, LIMITS } from '@tyrum/protocol';
import { portable, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { KeyRing, UnreadableSecretError } from './key-ring';
import { NoKeysError, SecretRefusedError, SecretStore, UnknownSecretError } from './secret-store';

const newKey = () => randomBytes(32).toString('base64url');
const [OLD, NEW] = [newKey(), newKey()];
const ACTOR = 'token:x';
const OTHER_TENANT = '00000000-0000-4000-8000-0000000000bb';
const refTo = (key: string, tenantId = DEFAULT_TENANT_ID) => ({ tenantId, key, actor: ACTOR });
const use = { actor: 'engine', detail: { turn_id: 't' }, byModel: false };

const rows = portable('all-secrets', 'select * from secret order by tenant_id, key');
const audited = portable('audited', 'select notes from audit_pending order by pending_id');

describeOnBothDialects('SecretStore', (stores) => {
  let store: StateStore;
  let secrets: SecretStore;
  beforeEach(async () => {
    store = await stores().open();
    secrets = new SecretStore(store, new KeyRing([OLD]));
  });

  const create = (key: string, value: string, by = secrets) =>
    store.transaction((tx) => by.createIn(tx, refTo(key), { value }));
  const renew = (key: string, value: string) => store.transaction((tx) => secrets.renewIn(tx, refTo(key), value));
  const open = (...keys: string[]) => secrets.open(DEFAULT_TENANT_ID, new Set(keys), use);
  const stored = () => store.execute<Record<string, string>>(rows);
  const notes = async () =>
    (await store.execute<{ notes: string }>(audited)).flatMap(
      (row) => JSON.parse(row.notes) as { type: string; subject: string; actor: string; detail?: unknown }[],
    );

  it('keeps a value encrypted, and gives it back to who uses it', async () => {
    expect(await create('github', 'first-value')).toMatchObject({ key: 'github', version: 1, description: null });
    expect(JSON.stringify(await stored())).not.toContain('first-value');
    expect(await open('github')).toEqual(new Map([['github', 'first-value']]));
    expect(await secrets.find(DEFAULT_TENANT_ID, 'github')).toEqual({
      key: 'github',
      description: null,
      hosts: null,
      version: 1,
      created_at: expect.any(Number),
      updated_at: expect.any(Number),
    });
  });

  it('replaces a value, and nothing of the old one stays', async () => {
    await create('github', 'first-value');
    const [before] = await stored();
    expect(await renew('github', 'second-value')).toMatchObject({ version: 2 });
    const [after] = await stored();
    expect(await stored()).toHaveLength(1);
    expect(after?.['ciphertext']).not.toBe(before?.['ciphertext']);
    expect(after?.['wrapped_key']).not.toBe(before?.['wrapped_key']);
    expect(await open('github')).toEqual(new Map([['github', 'second-value']]));
    expect(await renew('missing', 'second-value')).toBeUndefined();
  });

  it('refuses a key that is taken, also of two at once', async () => {
    const made = await Promise.allSettled([create('github', 'value-one'), create('github', 'value-two')]);
    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(made.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'conflict', message: 'there is a secret:github' },
    });
  });

  it('limits how many a tenant has', async () => {
    const many = portable(
      'many',
      `insert into secret (tenant_id, key, version, key_id, wrapped_key, ciphertext, created_at, updated_at)
      select $1::uuid, value, 1, 'x', 'x', 'x', 1, 1 from ${store.dialect === 'postgres' ? 'json_array_elements_text($2::json)' : 'json_each($2)'} where true`,
    );
    const keys = Array.from({ length: LIMITS.secretsPerTenant }, (_, i) => `k${i}`);
    await store.execute(many, [DEFAULT_TENANT_ID, JSON.stringify(keys)]);
    await expect(create('one-more', 'some-value')).rejects.toMatchObject({ code: 'conflict' });
  });

  it('opens all that are asked for, or none and says which is missing', async () => {
    await create('a', 'value-of-a');
    await create('b', 'value-of-b');
    expect((await open('a', 'b')).size).toBe(2);
    await expect(open('a', 'c')).rejects.toThrow(new UnknownSecretError('c'));
    expect(await secrets.remove(refTo('a'))).toBe(true);
    expect(await secrets.remove(refTo('a'))).toBe(false);
    await expect(open('a')).rejects.toThrow(UnknownSecretError);
    await expect(secrets.open(OTHER_TENANT, new Set(['b']), use)).rejects.toThrow(UnknownSecretError);
  });

  it('audits each change and each use, in its commit and without the value', async () => {
    await create('a', 'value-of-a');
    await renew('a', 'value-two-a');
    await open('a');
    await open('nothing').catch(() => undefined);
    await secrets.remove(refTo('a'));
    expect(await notes()).toEqual([
      { type: 'secret.created', actor: ACTOR, subject: 'secret:a', detail: { version: 1 } },
      { type: 'secret.rotated', actor: ACTOR, subject: 'secret:a', detail: { version: 2 } },
      { type: 'secret.used', actor: 'engine', subject: 'secret:a', detail: { turn_id: 't' } },
      { type: 'secret.deleted', actor: ACTOR, subject: 'secret:a' },
    ]);
  });

  it('gives what is bound to hosts to these alone, and to a model nothing else', async () => {
    await create('free', 'value-of-free');
    const hosts = ['api.example', '::1'];
    await store.transaction((tx) => secrets.createIn(tx, refTo('bound'), { value: 'value-of-bound', hosts }));
    expect((await secrets.find(DEFAULT_TENANT_ID, 'bound'))?.hosts).toEqual(hosts);
    const ask = (key: string, byModel: boolean, host?: string) =>
      secrets.open(DEFAULT_TENANT_ID, new Set([key]), { ...use, byModel, ...(host ? { host } : {}) });
    for (const byModel of [true, false]) {
      expect((await ask('bound', byModel, 'api.example')).get('bound')).toBe('value-of-bound');
      await expect(ask('bound', byModel, 'evil.example')).rejects.toThrow(
        'secret:bound may not be sent to evil.example',
      );
      await expect(ask('bound', byModel)).rejects.toThrow(SecretRefusedError);
    }
    expect((await ask('free', false, 'evil.example')).size).toBe(1);
    await expect(ask('free', true, 'api.example')).rejects.toThrow(SecretRefusedError);
    await expect(ask('free', true)).rejects.toThrow(SecretRefusedError);
    expect((await notes()).filter(({ type }) => type === 'secret.used')).toHaveLength(3);
  });

  it('lists by key, a page after another', async () => {
    for (const key of ['b', 'a', 'c']) await create(key, `value-of-${key}`);
    const first = await secrets.list(DEFAULT_TENANT_ID, { limit: 2 });
    const rest = await secrets.list(DEFAULT_TENANT_ID, { limit: 2, after: 'b' });
    expect([...first, ...rest].map(({ key }) => key)).toEqual(['a', 'b', 'c']);
    expect(await secrets.list(OTHER_TENANT, { limit: 2 })).toEqual([]);
  });

  it('brings all under a new key, so that the old one can go', async () => {
    for (let i = 0; i < 150; i += 1) await create(`k${i}`, `value-number-${i}`);
    const both = new SecretStore(store, new KeyRing([NEW, OLD]));
    await create('newer', 'value-newer', both);
    expect(await both.rewrapAll()).toEqual({ rewrapped: 150, missing: [] });
    expect(await both.rewrapAll()).toEqual({ rewrapped: 0, missing: [] });
    const alone = new SecretStore(store, new KeyRing([NEW]));
    expect(await alone.open(DEFAULT_TENANT_ID, new Set(['k7', 'newer']), use)).toEqual(
      new Map([
        ['k7', 'value-number-7'],
        ['newer', 'value-newer'],
      ]),
    );
  });

  it('says which key is missing, and leaves what it cannot open as it is', async () => {
    await create('a', 'value-of-a');
    const stranger = new SecretStore(store, new KeyRing([NEW]));
    await expect(stranger.open(DEFAULT_TENANT_ID, new Set(['a']), use)).rejects.toThrow(UnreadableSecretError);
    expect(await stranger.rewrapAll()).toEqual({ rewrapped: 0, missing: [new KeyRing([OLD]).primaryId] });
    expect((await open('a')).get('a')).toBe('value-of-a');
  });

  it('without keys makes and opens none, and still lists and removes', async () => {
    await create('a', 'value-of-a');
    const keyless = new SecretStore(store, undefined);
    await expect(create('b', 'value-of-b', keyless)).rejects.toThrow(NoKeysError);
    expect(() => keyless.open(DEFAULT_TENANT_ID, new Set(['a']), use)).toThrow(NoKeysError);
    expect(await keyless.list(DEFAULT_TENANT_ID, { limit: 10 })).toHaveLength(1);
    expect(await keyless.remove(refTo('a'))).toBe(true);
    expect(await keyless.rewrapAll()).toEqual({ rewrapped: 0, missing: [] });
  });
});
