export { KeyRing, openKeyRing, UnreadableSecretError, type Sealed, type SealedFor } from './key-ring';
export { NOTHING_SECRET, redactedAs, Redactor } from './redactor';
export {
  NoKeysError,
  SecretRefusedError,
  SecretStore,
  UnknownSecretError,
  type SecretRecord,
  type SecretRef,
  type SecretUse,
} from './secret-store';
