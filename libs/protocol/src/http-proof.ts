/** The header in which a device-bound token proves its device over HTTP. */
export const DEVICE_PROOF_HEADER = 'Tyrum-Device-Proof';

/** How far the device's clock may be from the gateway's, either way, in ms. */
export const DEVICE_PROOF_WINDOW_MS = 60_000;

/** What a device signs for one HTTP request. */
export interface HttpProofFacts {
  readonly method: string;
  /** As it stands in the request line: path and query. */
  readonly path: string;
  readonly tokenId: string;
  /** Milliseconds since the epoch, by the device's clock. */
  readonly issuedAtMs: number;
  /** 16…64 characters of base64url; good for one request. */
  readonly nonce: string;
}

/** The exact text that is signed: UTF-8 lines, each ended by `\n`, the last one too, as in `connectProofText`. */
export function httpProofText({ method, path, tokenId, issuedAtMs, nonce }: HttpProofFacts): string {
  return [
    'tyrum-http-proof',
    `method=${method.toUpperCase()}`,
    `path=${path}`,
    `token_id=${tokenId}`,
    `issued_at=${issuedAtMs}`,
    `nonce=${nonce}`,
    '',
  ].join('\n');
}

/** The header's parts; `pubkey` and `signature` are base64url. */
export interface HttpProof {
  readonly pubkey: string;
  readonly issuedAtMs: number;
  readonly nonce: string;
  readonly signature: string;
}

/** `v1.<pubkey>.<issued_at>.<nonce>.<signature>`. */
export function formatHttpProof({ pubkey, issuedAtMs, nonce, signature }: HttpProof): string {
  return `v1.${pubkey}.${issuedAtMs}.${nonce}.${signature}`;
}

const PROOF = /^v1\.([\w-]{40,512})\.(\d{13})\.([\w-]{16,64})\.([\w-]{86})$/;

/** The parts of a header, or `undefined` if it is none. Says nothing about whether the proof holds. */
export function parseHttpProof(text: string): HttpProof | undefined {
  const [, pubkey, issuedAt, nonce, signature] = PROOF.exec(text) ?? [];
  if (pubkey === undefined || nonce === undefined || signature === undefined) return undefined;
  return { pubkey, issuedAtMs: Number(issuedAt), nonce, signature };
}
