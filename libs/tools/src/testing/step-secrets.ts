import { UnknownSecretError } from '@tyrum/secrets';
import { StepSecrets } from '../step-secrets';

/** Secrets of steps as they are given, none of them audited. */
export function stepSecrets(secrets: Readonly<Record<string, string>> = {}): StepSecrets {
  return new StepSecrets({
    open: async (_tenantId, keys) =>
      new Map(
        [...keys].map((key) => {
          const value = secrets[key];
          if (value === undefined) throw new UnknownSecretError(key);
          return [key, value];
        }),
      ),
  });
}
