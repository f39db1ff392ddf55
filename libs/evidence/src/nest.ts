import { Module, type FactoryProvider } from '@nestjs/common';
import { CONFIG, type Config } from '@tyrum/platform';
import { AuditKey, openAuditKey } from './audit/audit-key';

const auditKey: FactoryProvider<AuditKey> = {
  provide: AuditKey,
  inject: [CONFIG],
  useFactory: ({ home, auditKey: configured }: Config) => openAuditKey(home, configured),
};

/** The key that signs the audit, for the processes that show it or keep it up. */
@Module({ providers: [auditKey], exports: [AuditKey] })
export class AuditKeyModule {}
