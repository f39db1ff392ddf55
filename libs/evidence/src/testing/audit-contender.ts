import { openStateStore, portable, type DatabaseAddress } from '@tyrum/statestore';
import { AuditKey } from '../audit/audit-key';
import { AuditLog } from '../audit/audit-log';
import { noteAudit } from '../audit/note-audit';

/*
 * One of several processes that audit in one tenant's chain, and link and sign it all the time, until it is killed. What was
 * committed it tells its parent, by the subject. Arguments: where the database is (JSON), tenant, name, the key's seed.
 */

/** A row of somebody's, as the change that a note belongs to. */
const change = portable('change', `insert into outbox_cursor (consumer, xid, id, updated_at) values ($1, '0', 0, 0)`);
const AT_ONCE = 4;

async function contend([address = '{}', tenantId = '', name = '', seed = '']: string[]): Promise<void> {
  const store = await openStateStore(JSON.parse(address) as DatabaseAddress, { poolSize: AT_ONCE + 1 });
  const log = new AuditLog(store, new AuditKey(seed));
  let count = 0;
  const write = async (): Promise<never> => {
    for (;;) {
      const subject = `change:${name}-${(count += 1)}`;
      await store.transaction(async (tx) => {
        void tx.query(change, [subject]);
        await noteAudit(tx, [{ tenantId, type: 'tenant.changed', actor: `process:${name}`, subject }]);
      });
      process.send?.(subject);
    }
  };
  const sign = async (): Promise<never> => {
    for (;;) await log.head(tenantId);
  };
  await Promise.all([...Array.from({ length: AT_ONCE }, write), sign()]);
}

// Orphaned, it ends.
process.on('disconnect', () => process.exit());
if (process.send) {
  void contend(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
}
