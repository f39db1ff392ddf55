import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID, parseToken } from '@tyrum/protocol';
import { openStateStore, type StateStore } from '@tyrum/statestore';
import { AuthTokens, Tenants } from '@tyrum/statestore/records';
import { createPostgresDatabase, createSqlitePath } from '@tyrum/test-services';
import { TokenStore } from './token-store';

const ADMIN = { tenantId: DEFAULT_TENANT_ID, role: 'admin', scopes: [] } as const;

const ALL = { limit: 1_000 };

describe.each(['sqlite', 'postgres'] as const)('tokens on %s', (kind) => {
  let store: StateStore;
  let clean: () => Promise<void> | void;
  let now = 0;
  let tokens: TokenStore;

  beforeAll(async () => {
    if (kind === 'sqlite') {
      const { path, remove } = createSqlitePath();
      store = await openStateStore({ kind, path });
      clean = remove;
    } else {
      const { url, drop } = await createPostgresDatabase();
      store = await openStateStore({ kind, url });
      clean = drop;
    }
  });
  afterAll(async () => {
    await store.close();
    await clean();
  });
  beforeEach(() => {
    now = 1_000_000;
    tokens = new TokenStore(store, { nowMs: () => now });
  });

  it('verifies what it issued and stores no secret', async () => {
    const { token, record } = await tokens.issue({
      ...ADMIN,
      role: 'client',
      scopes: ['operator.read'],
      label: 'phone',
      deviceId: 'dev_x',
    });
    const parts = parseToken(token);
    expect(await tokens.verify(token)).toEqual({
      tenantId: DEFAULT_TENANT_ID,
      tokenId: parts?.id,
      role: 'client',
      scopes: ['operator.read'],
      deviceId: 'dev_x',
    });
    expect(record).not.toHaveProperty('secret_hash');
    const row = await store.read((db) => db.records(AuthTokens).findOneBy({ token_id: parts?.id ?? '' }));
    expect(JSON.stringify(row)).not.toContain(parts?.secret);
    expect(JSON.stringify(await tokens.list(DEFAULT_TENANT_ID, ALL))).not.toContain(row?.secret_hash);
  });

  it('lists what was issued, ended or not, and of sessions those that hold', async () => {
    const tenantId = randomUUID();
    const row = { tenant_id: tenantId, slug: tenantId, created_at: 0, disabled_at: null };
    await store.transaction((tx) => tx.records(Tenants).insert(row));
    const issue = async (more: { subject?: string; expiresAt?: number }) => {
      now += 1;
      return (await tokens.issue({ ...ADMIN, role: 'client', scopes: ['operator.read'], tenantId, ...more })).record;
    };
    const [revoked, expired] = [await issue({}), await issue({ expiresAt: now })];
    await tokens.revoke(tenantId, revoked.token_id);
    const over = await issue({ subject: 'https://login.example alice', expiresAt: now });
    const ended = await issue({ subject: 'https://login.example alice', expiresAt: now + 60_000 });
    await tokens.revoke(tenantId, ended.token_id);
    const open = await issue({ subject: 'https://login.example alice', expiresAt: now + 60_000 });
    const list = await tokens.list(tenantId, ALL);
    expect(list).toEqual([open, expired, { ...revoked, revoked_at: expect.any(Number) }]);
    expect(list).not.toContainEqual(expect.objectContaining({ token_id: over.token_id }));
  });

  it.each([
    ['another secret', (token: string) => `${token.slice(0, -4)}AAAA`],
    ['a shorter secret', (token: string) => token.slice(0, -1)],
    ['another id', (token: string) => token.replace(/v1\.[^.]+/, `v1.${randomUUID()}`)],
    ['no token', () => 'token'],
    ['nothing', () => ''],
  ])('refuses %s', async (_, spoil) => {
    const { token } = await tokens.issue(ADMIN);
    expect(await tokens.verify(spoil(token))).toBeUndefined();
  });

  it('refuses an expired token from the instant on', async () => {
    const { token } = await tokens.issue({ ...ADMIN, expiresAt: now + 10 });
    now += 9;
    expect(await tokens.verify(token)).toBeDefined();
    now += 1;
    expect(await tokens.verify(token)).toBeUndefined();
  });

  it('refuses a revoked token here at once, and in another process when its cache has gone stale', async () => {
    const elsewhere = new TokenStore(store, { nowMs: () => now });
    const { token, record } = await tokens.issue(ADMIN);
    expect(await elsewhere.verify(token)).toBeDefined();
    expect(await tokens.revoke(DEFAULT_TENANT_ID, record.token_id)).toBe(true);
    expect(await tokens.verify(token)).toBeUndefined();
    expect(await elsewhere.verify(token)).toBeDefined();
    now += 1_000;
    expect(await elsewhere.verify(token)).toBeUndefined();
    expect(await elsewhere.recheck(record.token_id)).toBeUndefined();
    expect(await tokens.revoke(DEFAULT_TENANT_ID, record.token_id)).toBe(false);
  });

  it('neither shows nor revokes the tokens of another tenant, and refuses those of a disabled one', async () => {
    const tenantId = randomUUID();
    const row = { tenant_id: tenantId, slug: tenantId, created_at: 0, disabled_at: null };
    await store.transaction((tx) => tx.records(Tenants).insert(row));
    const { token, record } = await tokens.issue({ ...ADMIN, tenantId });
    expect(await tokens.revoke(DEFAULT_TENANT_ID, record.token_id)).toBe(false);
    expect((await tokens.list(DEFAULT_TENANT_ID, ALL)).map((t) => t.token_id)).not.toContain(record.token_id);
    expect((await tokens.list(tenantId, ALL)).map((t) => t.token_id)).toEqual([record.token_id]);
    expect(await tokens.verify(token)).toMatchObject({ tenantId });
    await store.transaction((tx) => tx.records(Tenants).update({ tenant_id: tenantId }, { disabled_at: 1 }));
    now += 1_000;
    expect(await tokens.verify(token)).toBeUndefined();
  });

  it('reads a token once for a burst, keeps a bounded number, and no place for made-up ids', async () => {
    const small = new TokenStore(store, { nowMs: () => now, cacheSize: 2 });
    const issued = await Promise.all([1, 2, 3].map(() => small.issue(ADMIN)));
    let reads = 0;
    const read = jest.spyOn(store, 'read').mockImplementation(function (this: StateStore, ...args) {
      reads += 1;
      return Object.getPrototypeOf(this).read.apply(this, args);
    });
    try {
      await Promise.all(Array.from({ length: 50 }, () => small.verify(issued[0]?.token ?? '')));
      expect(reads).toBe(1);
      await small.verify(issued[1]?.token ?? '');
      await small.verify(issued[2]?.token ?? '');
      await small.verify(issued[0]?.token ?? '');
      expect(reads).toBe(4);
      for (const _ of [1, 2]) await small.recheck('00000000-0000-4000-8000-00000000dead');
      expect(reads).toBe(6);
    } finally {
      read.mockRestore();
    }
  });
});
