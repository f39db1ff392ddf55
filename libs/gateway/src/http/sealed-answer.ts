import { hkdfSync } from 'node:crypto';
import { decrypt, encrypt } from '@tyrum/secrets';

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
  return encrypt(keyOf(seal), Buffer.from(JSON.stringify(answer)));
}

/** What `sealAnswer` closed; `undefined` under another token or context, and for what was changed. */
export function openAnswer(seal: Seal, text: string): unknown {
  try {
    return JSON.parse(decrypt(keyOf(seal), text).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function keyOf({ token, context }: Seal): Buffer {
  return Buffer.from(hkdfSync('sha256', token, context, 'tyrum sealed answer', 32));
}
