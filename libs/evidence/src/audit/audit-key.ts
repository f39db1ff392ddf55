import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { openHomeKey } from '@tyrum/platform';
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
 * The key of the configuration, or the one in `<home>/audit-key`, which is made if it is not there.
 * @throws {TypeError} the file holds something else
 */
export async function openAuditKey(home: string, configured?: { reveal(): string }): Promise<AuditKey> {
  return new AuditKey(configured?.reveal() ?? (await openHomeKey(join(home, 'audit-key'), SEED_BYTES)));
}
