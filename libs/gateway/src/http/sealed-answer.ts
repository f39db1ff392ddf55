import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Whose answer it is: the token the request came with, and what the request was. Only both together open it. */
export interface Seal {
  readonly token: string;
  readonly context: string;
}

/**
 * Closes an answer that holds a secret, so that a copy of the request can be answered alike and the database alone gives
 * nothing away: the key comes of the caller's own token, of which we keep no more than a hash.
 */
export function sealAnswer(seal: Seal, answer: object): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyOf(seal), nonce);
  const sealed = Buffer.concat([cipher.update(JSON.stringify(answer), 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
}

/** What `sealAnswer` closed; `undefined` under another token or context, and for what was changed. */
export function openAnswer(seal: Seal, text: string): unknown {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, keyOf(seal), bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    return JSON.parse(opened.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function keyOf({ token, context }: Seal): Buffer {
  return Buffer.from(hkdfSync('sha256', token, context, 'tyrum sealed answer', 32));
}
