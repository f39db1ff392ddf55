import type { StepOutcome, StepRequest } from '@tyrum/execution';
import { LIMITS, secretKeysIn } from '@tyrum/protocol';
import {
  NoKeysError,
  NOTHING_SECRET,
  Redactor,
  SecretRefusedError,
  UnknownSecretError,
  UnreadableSecretError,
  type SecretStore,
} from '@tyrum/secrets';
import { StoreUnavailableError } from '@tyrum/statestore';

/** The values a step uses, and what takes them out of everything it says. */
export interface OpenedSecrets {
  readonly values: ReadonlyMap<string, string>;
  readonly redactor: Redactor;
}

const NONE: OpenedSecrets = { values: new Map(), redactor: NOTHING_SECRET };

/** Opens the secrets a step names, just before it runs and for its process alone. */
export class StepSecrets {
  constructor(private readonly store: Pick<SecretStore, 'open'>) {}

  /** Or why the step cannot run: nothing of it has been done then. */
  async open({
    tenantId,
    turnId,
    stepIndex,
    attempt,
    action,
    chosenBy,
  }: StepRequest): Promise<OpenedSecrets | StepOutcome> {
    const keys = secretKeysIn(action);
    if (keys.size === 0) return NONE;
    if (keys.size > LIMITS.secretsPerStep) {
      return failed('too_many_secrets', `a step may use ${LIMITS.secretsPerStep} secrets at the most`, false);
    }
    try {
      const detail = { turn_id: turnId, step_index: stepIndex, attempt, tool: action.type };
      const host = action.type === 'Http' ? { host: new URL(action.args.url).hostname } : {};
      const use = { actor: 'engine', detail, byModel: chosenBy === 'model', ...host };
      const values = await this.store.open(tenantId, keys, use);
      return { values, redactor: new Redactor(values) };
    } catch (error) {
      return refusal(error);
    }
  }
}

/** What can pass by itself is tried again; what somebody has to mend is not. */
function refusal(error: unknown): StepOutcome {
  if (error instanceof UnknownSecretError) return failed('secret_not_found', error.message, false);
  if (error instanceof SecretRefusedError) return failed('secret_refused', error.message, false);
  if (error instanceof NoKeysError) return failed('secrets_not_set_up', error.message, false);
  // Another worker, or this one after its next start, may have the key.
  if (error instanceof UnreadableSecretError) return failed('secret_unreadable', error.message, true);
  if (error instanceof StoreUnavailableError) return failed('store_unavailable', 'the database is not there', true);
  throw error;
}

function failed(code: string, message: string, retryable: boolean): StepOutcome {
  return { kind: 'failed', error: { code, message }, retryable };
}
