import { noteAudit, type AuditNote } from '@tyrum/evidence';
import { LIMITS, WireError } from '@tyrum/protocol';
import type { Reader, StateStore, Tx } from '@tyrum/statestore';
import { UnreadableSecretError, type KeyRing, type Sealed } from './key-ring';
import {
  deleteSecret,
  findOutdated,
  findSecret,
  insertSecret,
  listSecrets,
  renewSecret,
  rewrapSecret,
} from './sql/secrets';

/** A secret as it may be shown: all but the value. Times in ms since the epoch, by the database's clock. */
export interface SecretRecord {
  readonly key: string;
  readonly description: string | null;
  /** The only hosts it may be sent to, and then it goes nowhere else; null: wherever a step of the caller's own says. */
  readonly hosts: readonly string[] | null;
  /** 1, and one more with each new value. */
  readonly version: number;
  readonly created_at: number;
  readonly updated_at: number;
}

/** Whose secret, and who does something with it, for the audit. */
export interface SecretRef {
  readonly tenantId: string;
  readonly key: string;
  readonly actor: string;
}

/** A handle of a step leads nowhere: there is no such secret, or it was removed. */
export class UnknownSecretError extends Error {
  constructor(readonly key: string) {
    super(`there is no secret:${key}`);
    this.name = 'UnknownSecretError';
  }
}

/** The secret is not for what the step wants to do with it. */
export class SecretRefusedError extends Error {
  constructor(key: string, why: string) {
    super(`secret:${key} ${why}`);
    this.name = 'SecretRefusedError';
  }
}

/** Who uses secrets for what. */
export interface SecretUse {
  readonly actor: string;
  /** For the audit. */
  readonly detail: Readonly<Record<string, unknown>>;
  /** Where they are sent; absent: into a command. */
  readonly host?: string;
  /** A model chose the step. What it read may have told it to: it gets only what is bound to hosts, and for these. */
  readonly byModel: boolean;
}

/** A row as it is stored. */
type Row = Omit<SecretRecord, 'hosts'> & Sealed & { readonly hosts: string | null };

/** No keys are set up with which a secret could be closed or opened. */
export class NoKeysError extends Error {
  constructor() {
    super('secrets are not set up here: TYRUM_SECRET_KEYS is unset');
    this.name = 'NoKeysError';
  }
}

const REWRAP_BATCH = 100;
/** Where a secret stands among all tenants'. */
interface Place {
  readonly tenant_id: string;
  readonly key: string;
}

const FIRST: Place = { tenant_id: '00000000-0000-0000-0000-000000000000', key: '' };

/** Keeps secrets: a value goes in here and comes out in the process that uses it, nowhere else. Each change and each use is audited. */
export class SecretStore {
  constructor(
    private readonly store: StateStore,
    /** Absent: secrets can be listed and removed, and neither made nor used. */
    private readonly ring: KeyRing | undefined,
  ) {}

  /** @throws {WireError} conflict: the key is taken, or there are too many @throws {NoKeysError} */
  async createIn(
    tx: Tx,
    ref: SecretRef,
    { value, description, hosts }: { value: string; description?: string; hosts?: readonly string[] },
  ): Promise<SecretRecord> {
    const { tenantId, key } = ref;
    const { key_id, wrapped_key, ciphertext } = this.keys().seal(value, ref);
    const sealed = [key_id, wrapped_key, ciphertext];
    const bound = hosts ? JSON.stringify(hosts) : null;
    const params = [tenantId, key, description ?? null, ...sealed, LIMITS.secretsPerTenant, bound];
    const [made] = await tx.query<Row>(insertSecret, params);
    if (!made) {
      const [taken] = await tx.query(findSecret, [tenantId, key]);
      throw new WireError(
        'conflict',
        taken ? `there is a secret:${key}` : `there are ${LIMITS.secretsPerTenant} secrets`,
      );
    }
    await noteAudit(tx, [noteOf('secret.created', ref, { version: made.version, ...(hosts ? { hosts } : {}) })]);
    return toRecord(made);
  }

  /** Puts another value in the place of the one there is, which is gone then. @throws {NoKeysError} */
  async renewIn(tx: Tx, ref: SecretRef, value: string): Promise<SecretRecord | undefined> {
    const { key_id, wrapped_key, ciphertext } = this.keys().seal(value, ref);
    const [renewed] = await tx.query<Row>(renewSecret, [ref.tenantId, ref.key, key_id, wrapped_key, ciphertext]);
    if (!renewed) return undefined;
    await noteAudit(tx, [noteOf('secret.rotated', ref, { version: renewed.version })]);
    return toRecord(renewed);
  }

  /** False = there is none. */
  remove(ref: SecretRef): Promise<boolean> {
    return this.store.transaction(async (tx) => {
      const gone = await tx.query(deleteSecret, [ref.tenantId, ref.key]);
      if (gone.length > 0) await noteAudit(tx, [noteOf('secret.deleted', ref)]);
      return gone.length > 0;
    });
  }

  /** A tenant's, by key. */
  async list(tenantId: string, { limit, after = '' }: { limit: number; after?: string }): Promise<SecretRecord[]> {
    const rows = await this.store.read((db) => db.query<Row>(listSecrets, [tenantId, after, limit]));
    return rows.map(toRecord);
  }

  async find(tenantId: string, key: string): Promise<SecretRecord | undefined> {
    const row = await this.store.read((db) => read(db, tenantId, key));
    return row && toRecord(row);
  }

  /**
   * The values that a step uses, for its process alone. The use is on record before the first of them is handed out.
   * @returns values by key
   * @throws {UnknownSecretError} @throws {SecretRefusedError} @throws {UnreadableSecretError} @throws {NoKeysError}
   * @throws {StoreUnavailableError}
   */
  open(tenantId: string, keys: ReadonlySet<string>, use: SecretUse): Promise<Map<string, string>> {
    const ring = this.keys();
    return this.store.transaction(async (tx) => {
      const values = new Map<string, string>();
      for (const key of keys) {
        const row = await read(tx, tenantId, key);
        if (!row) throw new UnknownSecretError(key);
        refuseUnlessMeantFor(toRecord(row), use);
        values.set(key, ring.open(row, { tenantId, key }));
      }
      const detail = { ...use.detail, ...(use.host === undefined ? {} : { host: use.host }) };
      await noteAudit(
        tx,
        [...keys].map((key) => noteOf('secret.used', { tenantId, key, actor: use.actor }, detail)),
      );
      return values;
    });
  }

  /**
   * Brings all secrets under the key that closes now, so that the ones before it can be taken out of the ring. It may be broken off and
   * begun again at any time. @returns how many there were, and the ids of keys that some are under and the ring does not have
   */
  async rewrapAll(): Promise<{ rewrapped: number; missing: string[] }> {
    const missing = new Set<string>();
    let rewrapped = 0;
    const { ring } = this;
    if (!ring) return { rewrapped, missing: [] };
    let rows = await this.outdated(ring, FIRST);
    for (; rows.length > 0; rows = await this.outdated(ring, rows.at(-1) ?? FIRST)) {
      for (const row of rows) {
        try {
          const next = ring.rewrap(row, { tenantId: row.tenant_id, key: row.key });
          const params = [row.tenant_id, row.key, row.wrapped_key, next.key_id, next.wrapped_key];
          rewrapped += (await this.store.execute(rewrapSecret, params)).length;
        } catch (error) {
          if (!(error instanceof UnreadableSecretError)) throw error;
          missing.add(error.keyId);
        }
      }
    }
    return { rewrapped, missing: [...missing] };
  }

  private outdated({ primaryId }: KeyRing, after: Place): Promise<(Sealed & Place)[]> {
    return this.store.read((db) =>
      db.query<Sealed & Place>(findOutdated, [primaryId, after.tenant_id, after.key, REWRAP_BATCH]),
    );
  }

  private keys(): KeyRing {
    if (!this.ring) throw new NoKeysError();
    return this.ring;
  }
}

async function read(db: Reader, tenantId: string, key: string): Promise<Row | undefined> {
  const [row] = await db.query<Row>(findSecret, [tenantId, key]);
  return row;
}

function toRecord({
  key,
  description,
  hosts,
  version,
  created_at,
  updated_at,
}: Row | Omit<Row, keyof Sealed>): SecretRecord {
  const bound = hosts === null ? null : (JSON.parse(hosts) as string[]);
  return { key, description, hosts: bound, version, created_at, updated_at };
}

/** @throws {SecretRefusedError} */
function refuseUnlessMeantFor({ key, hosts }: SecretRecord, { host, byModel }: SecretUse): void {
  if (hosts === null) {
    if (byModel) throw new SecretRefusedError(key, 'is bound to no host: a step that a model chose may not use it');
    return;
  }
  if (host === undefined) throw new SecretRefusedError(key, 'is bound to hosts: a command may not have it');
  if (!hosts.includes(host)) throw new SecretRefusedError(key, `may not be sent to ${host}`);
}

function noteOf(type: AuditNote['type'], { tenantId, key, actor }: SecretRef, detail?: AuditNote['detail']): AuditNote {
  return { tenantId, type, actor, subject: `secret:${key}`, ...(detail ? { detail } : {}) };
}
