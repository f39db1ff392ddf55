import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openHomeKey, type Config } from '@tyrum/platform';
import { decrypt, encrypt } from './cipher';

const KEY_BYTES = 32;

/** A value as it is stored: encrypted with a key of its own, and that one with a key of the ring. All base64url. */
export interface Sealed {
  /** Which key of the ring opens it. */
  readonly key_id: string;
  readonly wrapped_key: string;
  readonly ciphertext: string;
}

/** Whose value it is. Bound to what is sealed: a row that was moved to another tenant or key does not open. */
export interface SealedFor {
  readonly tenantId: string;
  readonly key: string;
}

/** What is stored does not open: its key is not in the ring, or it was changed. Says which key, and nothing of the value. */
export class UnreadableSecretError extends Error {
  constructor(
    readonly keyId: string,
    why: string,
  ) {
    super(`the secret was closed with key ${keyId}, ${why}`);
    this.name = 'UnreadableSecretError';
  }
}

/** The keys of the installation that encrypt the keys of secrets: the first closes, each of them opens. */
export class KeyRing {
  /** Of the key that closes: the first 16 hex digits of its SHA-256. */
  readonly primaryId: string;
  private readonly keys: ReadonlyMap<string, Buffer>;

  /** @param keys each 32 bytes as base64url, at least one @throws {TypeError} one is something else */
  constructor(keys: readonly string[]) {
    const ring = keys.map((text): [string, Buffer] => {
      const key = Buffer.from(text, 'base64url');
      if (key.length !== KEY_BYTES) throw new TypeError('a key of secrets is 32 bytes as base64url');
      return [createHash('sha256').update('tyrum secret key\0').update(key).digest('hex').slice(0, 16), key];
    });
    this.keys = new Map(ring);
    const [first] = ring;
    if (!first) throw new TypeError('a key ring has at least one key');
    this.primaryId = first[0];
  }

  seal(value: string, whose: SealedFor): Sealed {
    const own = randomBytes(KEY_BYTES);
    const ciphertext = encrypt(own, Buffer.from(value, 'utf8'), contextOf('value', whose));
    return { ...this.wrap(own, whose), ciphertext };
  }

  /** @throws {UnreadableSecretError} */
  open(sealed: Sealed, whose: SealedFor): string {
    try {
      return decrypt(this.unwrap(sealed, whose), sealed.ciphertext, contextOf('value', whose)).toString('utf8');
    } catch (error) {
      if (error instanceof UnreadableSecretError) throw error;
      throw new UnreadableSecretError(sealed.key_id, 'and its value was changed since');
    }
  }

  /** The same value under the key that closes now; only the wrap changes. @throws {UnreadableSecretError} */
  rewrap(sealed: Sealed, whose: SealedFor): Sealed {
    return { ...sealed, ...this.wrap(this.unwrap(sealed, whose), whose) };
  }

  private wrap(own: Buffer, whose: SealedFor): Pick<Sealed, 'key_id' | 'wrapped_key'> {
    const key = this.keys.get(this.primaryId) as Buffer;
    return { key_id: this.primaryId, wrapped_key: encrypt(key, own, contextOf('key', whose)) };
  }

  private unwrap({ key_id: keyId, wrapped_key }: Sealed, whose: SealedFor): Buffer {
    const key = this.keys.get(keyId);
    if (!key) throw new UnreadableSecretError(keyId, 'which is not among TYRUM_SECRET_KEYS');
    try {
      return decrypt(key, wrapped_key, contextOf('key', whose));
    } catch {
      throw new UnreadableSecretError(keyId, 'and its row was changed since');
    }
  }
}

/**
 * The ring of the configuration. Where there is none, a single host on SQLite has a key in its home, beside the database; on
 * Postgres, whose processes may share no home and lose it, there is none.
 */
export async function openKeyRing(
  config: Pick<Config, 'home' | 'database' | 'secretKeys'>,
): Promise<KeyRing | undefined> {
  if (config.secretKeys) return new KeyRing(config.secretKeys.reveal().split(','));
  if (config.database.kind === 'postgres') return undefined;
  return new KeyRing([await openHomeKey(join(config.home, 'secret-key'), KEY_BYTES)]);
}

function contextOf(what: 'key' | 'value', { tenantId, key }: SealedFor): Buffer {
  return Buffer.from(`tyrum secret\0${what}\0${tenantId}\0${key}`);
}
