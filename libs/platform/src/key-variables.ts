import { secretMatching } from './parsers';
import { SWEEPS, variable } from './variable';

/** Keys of the installation. */
export const KEY_VARIABLES = {
  auditKey: variable({
    name: 'TYRUM_AUDIT_KEY',
    description:
      'Seed of the Ed25519 key that signs the audit, the same wherever edges and schedulers share no TYRUM_HOME.',
    expected: '32 bytes as base64url (43 characters)',
    apps: SWEEPS,
    parse: secretMatching(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/),
    derivedDefault: 'the key in <TYRUM_HOME>/audit-key, made at the first start',
  }),
  secretKeys: variable({
    name: 'TYRUM_SECRET_KEYS',
    description:
      'Keys that encrypt the keys of secrets, the same at every edge and worker: the first closes, each of them opens.',
    expected: '1 to 10 keys of 32 bytes as base64url (43 characters), separated by commas',
    apps: ['edge', 'worker'],
    parse: secretMatching(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048](,[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]){0,9}$/),
    derivedDefault: 'on SQLite the key in <TYRUM_HOME>/secret-key, made at the first start; on Postgres none',
  }),
  webhookKey: variable({
    name: 'TYRUM_WEBHOOK_KEY',
    description: 'Key that the secrets of webhooks follow from, the same at every edge. Unset: there are no webhooks.',
    expected: '32 to 256 characters of base64url',
    apps: ['edge'],
    parse: secretMatching(/^[A-Za-z0-9_-]{32,256}$/),
  }),
};
