import { createHmac, timingSafeEqual } from 'node:crypto';

/** Whose secret: a trigger of a tenant, and how often its secret was renewed. */
export interface SecretOf {
  readonly tenantId: string;
  readonly triggerId: string;
  readonly generation: number;
}

/** The secrets of webhooks: they follow from one key of the installation, so that none is ever stored. */
export class WebhookSecrets {
  constructor(private readonly key: string) {}

  secretOf({ tenantId, triggerId, generation }: SecretOf): string {
    return createHmac('sha256', this.key)
      .update(`webhook\n${tenantId}\n${triggerId}\n${generation}\n`)
      .digest('base64url');
  }
}

export interface SignedCall {
  readonly timestamp: string;
  readonly nonce: string;
  readonly body: Buffer;
}

/** `sha256=<hex>` over `timestamp.nonce.body`. */
export function webhookSignature(secret: string, { timestamp, nonce, body }: SignedCall): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestamp}.${nonce}.`).update(body).digest('hex')}`;
}

/** Whether the signature is that of the call. Takes the same time wherever they differ. */
export function isSignedWith(secret: string, call: SignedCall, signature: string): boolean {
  const expected = Buffer.from(webhookSignature(secret, call));
  const given = Buffer.from(signature);
  return expected.length === given.length && timingSafeEqual(expected, given);
}
