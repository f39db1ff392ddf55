import { UnknownSecretError, type SecretUse } from '@tyrum/secrets';
import { StepSecrets } from '../step-secrets';

/** Secrets of steps as they are given, none of them audited. */
export function stepSecrets(
  secrets: Readonly<Record<string, string>> = {},
  onUse: (use: SecretUse) => void = () => undefined,
): StepSecrets {
  return new StepSecrets({
    open: async (_tenantId, keys, use) => {
      onUse(use);
      return new Map(
        [...keys].map((key) => {
          const value = secrets[key];
          if (value === undefined) throw new UnknownSecretError(key);
          return [key, value];
        }),
      );
    },
  });
}
