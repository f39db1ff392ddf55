import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_TENANT_ID, formatToken, parseToken, type TokenParts } from '@tyrum/protocol';
import type { StateStore, Statement, Tx } from '@tyrum/statestore';
import { AuthTokens } from '@tyrum/statestore/records';
import { hashSecret, newSecret } from './token-secret';
import type { TokenStore } from './token-store';

/*
 * How an installation gets its first token.
 *
 *   TYRUM_BOOTSTRAP_TOKEN set ──▶ its row is written, or given the new secret
 *   an admin token exists     ──▶ nothing
 *   otherwise                 ──▶ <home>/admin-token is read or made ──▶ its row is written ──▶ the caller prints it once
 *
 * The file comes before the row: a crash between the two leaves a token that the next boot installs. The other order would
 * leave a row whose secret nobody knows. Edges that start together meet twice: at the file, which is linked into place
 * and so made by one of them, and at the tenant's row, whose lock lets one of them find that there is no admin yet.
 */

/** The part of the configuration that decides about the first token. */
export interface BootstrapConfig {
  /** Directory for everything the installation keeps. */
  readonly home: string;
  readonly bootstrapToken?: { reveal(): string };
}

export type BootstrapOutcome =
  /** An admin token was there, or the configured one now is. */
  | { readonly kind: 'ready' }
  /** This process wrote the first admin token: print `token` once, as a plain line. The log would redact it. */
  | { readonly kind: 'created'; readonly token: string; readonly path: string };

const lockTenant: Statement = {
  name: 'lock-tenant-for-bootstrap',
  // NO KEY: rows that refer to the tenant may be written meanwhile. SQLite's transactions are exclusive already.
  postgres: 'select tenant_id from tenant where tenant_id = $1 for no key update',
  sqlite: 'select tenant_id from tenant where tenant_id = ?1',
};

const ADMIN = { tenantId: DEFAULT_TENANT_ID, role: 'admin', scopes: [] } as const;

/** Sees to it that somebody can log in. @throws {TypeError} if the configured token or the file's is malformed */
export async function ensureBootstrapToken(
  store: StateStore,
  tokens: TokenStore,
  config: BootstrapConfig,
): Promise<BootstrapOutcome> {
  if (config.bootstrapToken) {
    const parts = partsOf(config.bootstrapToken.reveal(), 'the bootstrap token');
    await store.transaction((tx) => installConfigured(tx, tokens, parts));
    return { kind: 'ready' };
  }
  if (await store.read((db) => hasAdmin(db))) return { kind: 'ready' };

  const path = join(config.home, 'admin-token');
  const token = await readOrMakeFile(config.home, path);
  const parts = partsOf(token, path);
  const found = await store.transaction((tx) => installFirst(tx, tokens, parts));
  if (found === 'created') return { kind: 'created', token, path };
  // Another host's edge was first, and what is in our file opens nothing.
  if (found === 'foreign') await rm(path, { force: true });
  return { kind: 'ready' };
}

async function installConfigured(tx: Tx, tokens: TokenStore, parts: TokenParts): Promise<void> {
  await tx.query(lockTenant, [DEFAULT_TENANT_ID]);
  const rows = tx.records(AuthTokens);
  const row = await rows.findOneBy({ token_id: parts.id });
  if (!row) return tokens.installIn(tx, { ...ADMIN, label: 'bootstrap', actor: 'bootstrap' }, parts);
  // A revoked one stays revoked: otherwise every restart would take the revocation back.
  const secret_hash = hashSecret(parts.secret);
  if (row.secret_hash !== secret_hash) await rows.update({ token_id: parts.id }, { secret_hash });
}

async function installFirst(tx: Tx, tokens: TokenStore, parts: TokenParts): Promise<'created' | 'ours' | 'foreign'> {
  await tx.query(lockTenant, [DEFAULT_TENANT_ID]);
  if (await tx.records(AuthTokens).existsBy({ token_id: parts.id })) return 'ours';
  if (await hasAdmin(tx)) return 'foreign';
  await tokens.installIn(tx, { ...ADMIN, label: 'first admin', actor: 'bootstrap' }, parts);
  return 'created';
}

/** A revoked one counts: whoever revoked the last admin token meant it. */
function hasAdmin(db: Pick<Tx, 'records'>): Promise<boolean> {
  return db.records(AuthTokens).existsBy({ tenant_id: DEFAULT_TENANT_ID, role: 'admin' });
}

async function readOrMakeFile(home: string, path: string): Promise<string> {
  const existing = await readToken(path);
  if (existing !== undefined) return existing;
  await mkdir(home, { recursive: true, mode: 0o700 });
  const token = formatToken({ id: randomUUID(), secret: newSecret() });
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${token}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // Unlike a rename, a link does not replace what another process put there meanwhile.
    await link(draft, path);
    return token;
  } catch (error) {
    const winner = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await readToken(path) : undefined;
    if (winner === undefined) throw error;
    return winner;
  } finally {
    await rm(draft, { force: true });
  }
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function partsOf(token: string, where: string): TokenParts {
  const parts = parseToken(token);
  if (!parts) throw new TypeError(`${where} is not a token of the form tyrum-token.v1.<uuid>.<secret>`);
  return parts;
}
