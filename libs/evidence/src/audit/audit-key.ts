import { createPrivateKey, createPublicKey, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { auditKeyId, decodeBase64Url, encodeBase64Url, signSeal, type AuditSeal } from '@tyrum/protocol';

/** DER of an Ed25519 private key (RFC 8410) up to its 32 bytes of seed. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED_BYTES = 32;

/** What a seal says, before it is signed. */
export type SealClaim = Pick<AuditSeal, 'kind' | 'tenant_id' | 'seq' | 'hash'>;

/** The key a deployment vouches for its audit with. */
export class AuditKey {
  readonly keyId: string;
  private readonly privateKey: KeyObject;
  private readonly publicKey: string;

  /** @param seed 32 bytes as base64url @throws {TypeError} it is something else */
  constructor(
    seed: string,
    private readonly nowMs: () => number = Date.now,
  ) {
    const bytes = decodeBase64Url(seed);
    if (bytes?.length !== SEED_BYTES) throw new TypeError('an audit key is 32 bytes as base64url');
    this.privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, bytes]), format: 'der', type: 'pkcs8' });
    this.publicKey = encodeBase64Url(createPublicKey(this.privateKey).export({ format: 'der', type: 'spki' }));
    this.keyId = auditKeyId(this.publicKey);
  }

  seal(claim: SealClaim): AuditSeal {
    const signed_at = new Date(this.nowMs()).toISOString();
    return signSeal(this.privateKey, { v: 1, ...claim, signed_at, key_id: this.keyId, public_key: this.publicKey });
  }
}

/**
 * The key of the configuration, or the one in `<home>/audit-key`, which is made if it is not there. Processes that share a home
 * and start together make one: a file is linked into its place, never replaced. @throws {TypeError} the file holds something else
 */
export async function openAuditKey(home: string, configured?: { reveal(): string }): Promise<AuditKey> {
  if (configured) return new AuditKey(configured.reveal());
  const path = join(home, 'audit-key');
  const existing = await readSeed(path);
  if (existing !== undefined) return new AuditKey(existing);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${randomBytes(SEED_BYTES).toString('base64url')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return new AuditKey((await readSeed(path)) ?? '');
}

async function readSeed(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
