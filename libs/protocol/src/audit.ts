import { LIMITS } from './limits';
import { OneOf, Optional, Text, WholeNumber } from './payload-fields';

/** Everything that is audited. docs/audit.md says what each tells, and what is not audited. */
export const AUDIT_TYPES = [
  'token.issued',
  'token.revoked',
  'session.begun',
  'auth.failed',
  'authz.denied',
  'tenant.created',
  'tenant.changed',
  'share.set',
  'pairing.approved',
  'pairing.denied',
  'pairing.revoked',
  'approval.resolved',
  'approval.consumed',
  'approval.expired',
  'override.revoked',
  'turn.cancelled',
  'turn.resolved',
  'turn.redriven',
  'schedule.created',
  'schedule.deleted',
  'webhook.created',
  'webhook.renewed',
  'webhook.deleted',
  'secret.created',
  'secret.rotated',
  'secret.deleted',
  'secret.used',
  'desktop.created',
  'desktop.started',
  'desktop.stopped',
  'desktop.moved',
  'desktop.deleted',
  'step.intended',
  'step.settled',
  'step.unknown',
  'audit.key_used',
] as const;
export type AuditType = (typeof AUDIT_TYPES)[number];

/** `GET /v1/audit`, newest first. */
export class AuditListPayload {
  @Optional()
  @OneOf(AUDIT_TYPES)
  type?: AuditType;

  /** Who did it: `token:<id>`, `engine`, `bootstrap`. */
  @Optional()
  @Text(LIMITS.auditNameLength)
  actor?: string;

  /** What it was done to: `turn:<id>`, `token:<id>`. */
  @Optional()
  @Text(LIMITS.auditNameLength)
  subject?: string;

  @WholeNumber(1, LIMITS.auditListMax)
  limit: number = LIMITS.auditListDefault;

  @Optional()
  @Text(LIMITS.cursorLength)
  cursor?: string;
}

/** One link of a tenant's chain. */
export interface AuditEntry {
  /** 1, 2, 3 … within the tenant, without gaps. */
  seq: number;
  tenant_id: string;
  /** When the change was made, by the database's clock. */
  at: string;
  type: AuditType;
  actor: string;
  subject: string | null;
  /** More about it. Never a secret, a token or what a tool was given. */
  detail: Record<string, unknown>;
  /** Lower-case hex: SHA-256 of the hash before it (32 zero bytes for the first), followed by this entry without its hash as canonical JSON. */
  hash: string;
}

export interface AuditListResult {
  entries: AuditEntry[];
  next_cursor?: string;
}

/**
 * What the deployment vouches for with its key: that a tenant's chain has this hash at this place. A `head` is the newest entry
 * when it was signed; a `checkpoint` stands for everything up to it, which retention has deleted.
 */
export interface AuditSeal {
  v: 1;
  kind: 'head' | 'checkpoint';
  tenant_id: string;
  /** 0: the chain was empty. */
  seq: number;
  hash: string;
  signed_at: string;
  /** The first 16 bytes of the SHA-256 of the public key, hex. */
  key_id: string;
  /** base64url of the Ed25519 key in DER SPKI form. */
  public_key: string;
  /** base64url of the Ed25519 signature over this object without it, as canonical JSON. */
  signature: string;
}
