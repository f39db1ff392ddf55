export { decrypt, encrypt } from './cipher';
export { KeyRing, openKeyRing, UnreadableSecretError } from './key-ring';
export { NOTHING_SECRET, Redactor } from './redactor';
export {
  NoKeysError,
  SecretRefusedError,
  SecretStore,
  UnknownSecretError,
  type SecretRecord,
  type SecretRef,
  type SecretUse,
} from './secret-store';
