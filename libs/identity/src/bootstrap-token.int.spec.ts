import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DEFAULT_TENANT_ID, formatToken } from '@tyrum/protocol';
import { openStateStore, type StateStore } from '@tyrum/statestore';
import { createPostgresDatabase, createSqlitePath } from '@tyrum/test-services';
import { ensureBootstrapToken } from './bootstrap-token';
import { newSecret } from './token-secret';
import { TokenStore } from './token-store';

const forgetTokens = { name: 'forget-tokens', postgres: 'delete from auth_token', sqlite: 'delete from auth_token' };

describe.each(['sqlite', 'postgres'] as const)('the first token on %s', (kind) => {
  let store: StateStore;
  let tokens: TokenStore;
  let root: string;
  let home: string;
  let path: string;
  let clean: (() => Promise<void> | void)[];

  beforeAll(async () => {
    const folder = createSqlitePath();
    clean = [folder.remove];
    if (kind === 'sqlite') store = await openStateStore({ kind, path: folder.path });
    else {
      const { url, drop } = await createPostgresDatabase();
      store = await openStateStore({ kind, url });
      clean.push(drop);
    }
    tokens = new TokenStore(store, { cacheTtlMs: 0 });
    root = dirname(folder.path);
  });
  beforeEach(async () => {
    home = join(root, randomUUID());
    path = join(home, 'admin-token');
    await store.execute(forgetTokens);
  });
  afterAll(async () => {
    await store.close();
    for (const step of clean) await step();
  });

  const admins = async () =>
    (await tokens.list(DEFAULT_TENANT_ID, { limit: 10 })).filter(({ role }) => role === 'admin');

  it('makes one, for its owner only, and shows it once', async () => {
    const outcome = await ensureBootstrapToken(store, tokens, { home });
    if (outcome.kind !== 'created') throw new Error('no token was made');
    expect(readFileSync(path, 'utf8')).toBe(`${outcome.token}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(home)).toEqual(['admin-token']);
    expect(await tokens.verify(outcome.token)).toMatchObject({ role: 'admin', tenantId: DEFAULT_TENANT_ID });
    expect(await ensureBootstrapToken(store, tokens, { home })).toEqual({ kind: 'ready' });
  });

  it('makes one when many edges start together on one home', async () => {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => ensureBootstrapToken(store, tokens, { home })));
    expect(outcomes.filter(({ kind: k }) => k === 'created')).toHaveLength(1);
    expect(await admins()).toHaveLength(1);
    expect(await tokens.verify(readFileSync(path, 'utf8').trim())).toBeDefined();
  });

  it('makes one when edges start together on homes of their own, and leaves no file that opens nothing', async () => {
    const homes = Array.from({ length: 5 }, (_, i) => `${home}-${i}`);
    const outcomes = await Promise.all(homes.map((own) => ensureBootstrapToken(store, tokens, { home: own })));
    expect(outcomes.filter(({ kind: k }) => k === 'created')).toHaveLength(1);
    expect(await admins()).toHaveLength(1);
    const files = homes.map((own) => join(own, 'admin-token')).filter((file) => existsSync(file));
    for (const file of files) expect(await tokens.verify(readFileSync(file, 'utf8').trim())).toBeDefined();
    expect(files).toHaveLength(1);
  });

  it('installs the token of a boot that died before it was written to the database', async () => {
    const first = await ensureBootstrapToken(store, tokens, { home });
    const token = readFileSync(path, 'utf8').trim();
    await store.execute(forgetTokens);
    expect(await ensureBootstrapToken(store, tokens, { home })).toEqual(first);
    expect(await tokens.verify(token)).toBeDefined();
  });

  it('installs a configured token, takes its new secret, and does not take a revocation back', async () => {
    const id = randomUUID();
    const [old, fresh] = [newSecret(), newSecret()].map((secret) => formatToken({ id, secret })) as [string, string];
    const boot = (token: string) =>
      ensureBootstrapToken(store, tokens, { home, bootstrapToken: { reveal: () => token } });
    expect(await Promise.all([boot(old), boot(old)])).toEqual([{ kind: 'ready' }, { kind: 'ready' }]);
    expect(await tokens.verify(old)).toMatchObject({ role: 'admin' });
    await boot(fresh);
    expect(await tokens.verify(old)).toBeUndefined();
    expect(await tokens.verify(fresh)).toBeDefined();
    expect(await admins()).toHaveLength(1);
    await tokens.revoke(DEFAULT_TENANT_ID, id);
    await boot(fresh);
    expect(await tokens.verify(fresh)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });

  it('says which file holds no token', async () => {
    await ensureBootstrapToken(store, tokens, { home });
    await store.execute(forgetTokens);
    writeFileSync(path, 'garbage');
    await expect(ensureBootstrapToken(store, tokens, { home })).rejects.toThrow(path);
  });
});
