import { StepsExecution } from './http';
import { LIMITS } from './limits';
import { Flag, Nested, Text } from './payload-fields';

/** Seconds since the epoch, in decimal. */
export const WEBHOOK_TIMESTAMP_HEADER = 'Tyrum-Timestamp';
/** 1…128 printable characters without spaces; names the firing: another copy under it is the same firing. */
export const WEBHOOK_NONCE_HEADER = 'Tyrum-Nonce';
/** `sha256=` and the HMAC-SHA256 over `timestamp.nonce.body`, lower-case hex. */
export const WEBHOOK_SIGNATURE_HEADER = 'Tyrum-Signature';
/** How far a timestamp may be from the gateway's clock, either way, in ms. */
export const WEBHOOK_WINDOW_MS = 5 * 60_000;

/** `POST /v1/webhooks`: what runs when somebody calls. */
export class WebhookCreateBody {
  @Text(LIMITS.labelLength)
  label: string;

  @Nested(() => StepsExecution)
  execution: StepsExecution;

  @Flag()
  enabled: boolean = true;
}

export interface WebhookView {
  trigger_id: string;
  label: string;
  execution: StepsExecution;
  enabled: boolean;
  /** Where to call, from the edge's root. */
  path: string;
  created_at: string;
}

/** Shown when a webhook is made and when its secret is renewed; the secret is stored nowhere. */
export interface WebhookCreated {
  webhook: WebhookView;
  secret: string;
}

export interface WebhookList {
  webhooks: WebhookView[];
}

/** The answer to a call. */
export interface WebhookFired {
  turn_id: string;
}
