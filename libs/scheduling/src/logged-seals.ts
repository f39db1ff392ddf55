import { AuditBrokenError, type SealObserver } from '@tyrum/evidence';
import type { Logger, Metrics } from '@tyrum/platform';
import type { AuditSeal } from '@tyrum/protocol';

/**
 * Writes signed heads into the log: what is there cannot be changed by whoever changes the database, and `tyrum audit verify`
 * takes the lines as they are.
 */
export class LoggedSeals implements SealObserver {
  private readonly broken;

  constructor(
    metrics: Metrics,
    private readonly logger: Logger,
  ) {
    this.broken = metrics.counter('tyrum_audit_broken_total', 'Looks at an audit chain that found it altered.');
  }

  sealed(head: AuditSeal): void {
    this.logger.info({ audit_head: head }, 'audit head');
  }

  trouble(tenantId: string, error: unknown): void {
    if (error instanceof AuditBrokenError) this.broken.inc();
    this.logger.error({ err: error, tenant_id: tenantId }, 'the audit could not be signed');
  }
}
