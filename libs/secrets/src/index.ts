export { KeyRing, openKeyRing, UnreadableSecretError, type Sealed, type SealedFor } from './key-ring';
export { NOTHING_SECRET, redactedAs, Redactor } from './redactor';
export { NoKeysError, SecretStore, UnknownSecretError, type SecretRecord, type SecretRef } from './secret-store';
