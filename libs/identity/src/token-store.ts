import { randomUUID } from 'node:crypto';
import { formatToken, parseToken, type OperatorScope, type TokenRole } from '@tyrum/protocol';
import { noteAudit } from '@tyrum/evidence';
import type { StateStore, Tx } from '@tyrum/statestore';
import { AuthTokens, Tenants, type AuthTokenRecord, type TenantRecord } from '@tyrum/statestore/records';
import type { Principal } from './principal';
import { findLiveTokens } from './sql/find-live-tokens';
import { listTokens } from './sql/list-tokens';
import { hashSecret, matchesHash, newSecret } from './token-secret';

/** A token to issue. */
export interface NewToken {
  readonly tenantId: string;
  readonly role: TokenRole;
  readonly scopes: readonly OperatorScope[];
  readonly label?: string;
  /** The only device that may use it. */
  readonly deviceId?: string;
  /** `<issuer> <subject>` of who logged in elsewhere for it. */
  readonly subject?: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number;
  /** Its id, where that is decided already. */
  readonly tokenId?: string;
  /** Who issues it, for the audit; absent: Tyrum itself. */
  readonly actor?: string;
}

/** A token as it may be shown: everything but the secret and its hash. */
export type TokenRecord = Omit<AuthTokenRecord, 'secret_hash' | 'scopes'> & { readonly scopes: OperatorScope[] };

export interface TokenStoreOptions {
  readonly nowMs?: () => number;
  readonly newId?: () => string;
  readonly newSecret?: () => string;
  /** How long a row may be used without looking again, in ms. Bounds how late a revocation acts in another process. */
  readonly cacheTtlMs?: number;
  /** Rows kept at the most. */
  readonly cacheSize?: number;
}

/** A token's row and that of its tenant. */
interface Held extends AuthTokenRecord {
  readonly tenant: TenantRecord;
}

interface CachedRow {
  readonly readAt: number;
  readonly row: Promise<Held | undefined>;
}

/** Who did what nobody asked for, in the audit. */
const TYRUM = 'tyrum';
const DEFAULT_CACHE_TTL_MS = 1_000;
const DEFAULT_CACHE_SIZE = 10_000;

/** A part of a tenant's tokens. */
export interface TokenPage {
  readonly limit: number;
  /** `at`: when it was made, in ms since the epoch. */
  readonly after?: { readonly at: number; readonly id: string };
}

/** Issues, verifies, lists and revokes access tokens. The secret exists only in the answer of `issue`. */
export class TokenStore {
  private readonly cache = new Map<string, CachedRow>();
  private readonly options: Required<TokenStoreOptions>;

  constructor(
    private readonly store: StateStore,
    options: TokenStoreOptions = {},
  ) {
    this.options = {
      nowMs: Date.now,
      newId: randomUUID,
      newSecret,
      cacheTtlMs: DEFAULT_CACHE_TTL_MS,
      cacheSize: DEFAULT_CACHE_SIZE,
      ...options,
    };
  }

  /** Makes a token. `token` is shown this once and cannot be had again. */
  async issue(request: NewToken): Promise<{ token: string; record: TokenRecord }> {
    return this.store.transaction((tx) => this.issueIn(tx, request));
  }

  /** The same inside the caller's transaction. */
  async issueIn(tx: Tx, request: NewToken): Promise<{ token: string; record: TokenRecord }> {
    const parts = { id: request.tokenId ?? this.options.newId(), secret: this.options.newSecret() };
    const row = await this.insert(tx, request, parts);
    return { token: formatToken(parts), record: toRecord(row) };
  }

  /** Writes the row of a token that exists already, inside the caller's transaction. Its id must be free. */
  async installIn(tx: Tx, request: NewToken, parts: { id: string; secret: string }): Promise<void> {
    await this.insert(tx, request, parts);
  }

  /**
   * The holder of a token, or `undefined` if it is malformed, unknown, expired, revoked or of a disabled tenant.
   * @throws {StoreUnavailableError}
   */
  async verify(token: string): Promise<Principal | undefined> {
    const parts = parseToken(token);
    if (!parts) return undefined;
    const row = await this.read(parts.id);
    return row && matchesHash(parts.secret, row.secret_hash) ? this.principalOf(row) : undefined;
  }

  /** The same for a token that was verified before, by its id: what a long connection asks again and again. */
  async recheck(tokenId: string): Promise<Principal | undefined> {
    const row = await this.read(tokenId);
    return row && this.principalOf(row);
  }

  /** Whose a token is, going by its id alone: for writing down that it was refused. */
  async ownerOf(token: string): Promise<{ tenantId: string; tokenId: string } | undefined> {
    const parts = parseToken(token);
    const row = parts && (await this.read(parts.id));
    return row && { tenantId: row.tenant_id, tokenId: row.token_id };
  }

  /** Those of the ids whose tokens no longer hold, read past the cache and at once. @throws {StoreUnavailableError} */
  async endedAmong(tokenIds: readonly string[]): Promise<Set<string>> {
    const ended = new Set(tokenIds);
    if (ended.size === 0) return ended;
    const params = [JSON.stringify([...ended]), this.options.nowMs()];
    const live = await this.store.read((db) => db.query<{ token_id: string }>(findLiveTokens, params));
    for (const { token_id } of live) ended.delete(token_id);
    // What was read before says otherwise.
    for (const tokenId of ended) this.cache.delete(tokenId);
    return ended;
  }

  /** Ends a token. False if the tenant has no such token that is not revoked yet. */
  async revoke(tenantId: string, tokenId: string, actor?: string): Promise<boolean> {
    const revoked = await this.store.transaction((tx) => this.revokeIn(tx, tenantId, tokenId, actor));
    this.cache.delete(tokenId);
    return revoked;
  }

  /** The same inside the caller's transaction; acts everywhere within the time that rows are cached. */
  async revokeIn(tx: Tx, tenantId: string, tokenId: string, actor: string = TYRUM): Promise<boolean> {
    const tokens = tx.records(AuthTokens);
    const row = await tokens.findOneBy({ tenant_id: tenantId, token_id: tokenId });
    if (!row || row.revoked_at !== null) return false;
    await tokens.update({ tenant_id: tenantId, token_id: tokenId }, { revoked_at: this.options.nowMs() });
    await noteAudit(tx, [{ tenantId, type: 'token.revoked', actor, subject: `token:${tokenId}` }]);
    return true;
  }

  /**
   * The tenant's tokens, newest first: the issued ones, revoked or not, and the sessions that hold.
   * @param page.after the last one of the page before
   */
  async list(tenantId: string, { limit, after }: TokenPage): Promise<TokenRecord[]> {
    const params = [tenantId, this.options.nowMs(), after?.at ?? null, after?.id ?? null, limit];
    type Row = Omit<TokenRecord, 'scopes'> & { readonly scopes: string };
    const rows = await this.store.read((db) => db.query<Row>(listTokens, params));
    return rows.map((row) => ({ ...row, scopes: JSON.parse(row.scopes) as OperatorScope[] }));
  }

  private async insert(tx: Tx, request: NewToken, parts: { id: string; secret: string }): Promise<AuthTokenRecord> {
    const row = this.rowOf(request, parts);
    await tx.records(AuthTokens).insert(row);
    const { tenant_id: tenantId, role, scopes, label, device_id, expires_at } = row;
    const detail = { role, scopes, label, device_id, expires_at };
    const subject = `token:${row.token_id}`;
    await noteAudit(tx, [{ tenantId, type: 'token.issued', actor: request.actor ?? TYRUM, subject, detail }]);
    return row;
  }

  private rowOf(request: NewToken, parts: { id: string; secret: string }): AuthTokenRecord {
    return {
      tenant_id: request.tenantId,
      token_id: parts.id,
      secret_hash: hashSecret(parts.secret),
      role: request.role,
      scopes: [...request.scopes],
      label: request.label ?? null,
      device_id: request.deviceId ?? null,
      subject: request.subject ?? null,
      created_at: this.options.nowMs(),
      expires_at: request.expiresAt ?? null,
      revoked_at: null,
    };
  }

  private principalOf(row: Held): Principal | undefined {
    if (row.revoked_at !== null) return undefined;
    if (row.expires_at !== null && row.expires_at <= this.options.nowMs()) return undefined;
    return {
      tenantId: row.tenant_id,
      tokenId: row.token_id,
      role: row.role,
      scopes: row.scopes as OperatorScope[],
      ...(row.device_id === null ? {} : { deviceId: row.device_id }),
      ...(row.subject === null ? {} : { isSession: true }),
      ...(row.tenant.max_connections === null ? {} : { maxConnections: row.tenant.max_connections }),
      ...(row.tenant.max_requests === null ? {} : { maxRequests: row.tenant.max_requests }),
    };
  }

  /** The promise is cached, not the row, so that a burst of requests with one token asks the database once. */
  private read(tokenId: string): Promise<Held | undefined> {
    const now = this.options.nowMs();
    const cached = this.cache.get(tokenId);
    if (cached && now - cached.readAt < this.options.cacheTtlMs && now >= cached.readAt) return cached.row;
    const entry: CachedRow = { readAt: now, row: this.load(tokenId) };
    this.cache.delete(tokenId);
    this.cache.set(tokenId, entry);
    this.evict();
    // Neither a failure nor an id somebody made up is worth a place.
    const forget = (row?: Held): void => {
      if (!row && this.cache.get(tokenId) === entry) this.cache.delete(tokenId);
    };
    entry.row.then(forget, () => forget());
    return entry.row;
  }

  /** A map keeps the order of insertion, so the first key is the one read longest ago. */
  private evict(): void {
    const [oldest] = this.cache.keys();
    if (oldest !== undefined && this.cache.size > this.options.cacheSize) this.cache.delete(oldest);
  }

  private load(tokenId: string): Promise<Held | undefined> {
    return this.store.read(async (db) => {
      const row = await db.records(AuthTokens).findOneBy({ token_id: tokenId });
      if (!row) return undefined;
      const tenant = await db.records(Tenants).findOneBy({ tenant_id: row.tenant_id });
      return tenant?.disabled_at === null ? { ...row, tenant } : undefined;
    });
  }
}

function toRecord({ secret_hash: _, ...row }: AuthTokenRecord): TokenRecord {
  return { ...row, scopes: row.scopes as OperatorScope[] };
}
