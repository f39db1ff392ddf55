import type { EffectClass } from '../turn';
import type { Action, ActionOf } from './action';

/**
 * What may be done with the action after a crash between intent and result. The caller's own declaration wins for `CLI`,
 * `Http` and what nodes do; whatever is not known to be safe is `once`.
 */
export function defaultEffectOf(action: Action): EffectClass {
  switch (action.type) {
    case 'CLI':
      return action.args.effect ?? 'once';
    case 'Http':
      return action.args.effect ?? effectOfRequest(action.args);
    case 'Filesystem':
      return effectOfFileOperation(action);
    case 'Node':
    case 'Desktop':
    case 'Browser':
      return action.args.effect ?? 'once';
    // A model call costs money and changes nothing; one call per step is not promised. A `Confirm` is an approval under the
    // step's key: asking again finds the one that exists.
    case 'Llm':
    case 'Decide':
    case 'Confirm':
      return 'read';
    case 'Message':
    case 'Watch':
      return 'idempotent';
    default:
      return 'once';
  }
}

function effectOfRequest({ method, headers }: ActionOf<'Http'>['args']): EffectClass {
  const verb = method.toUpperCase();
  if (verb === 'GET' || verb === 'HEAD' || verb === 'OPTIONS') return 'read';
  const keyed = Object.keys(headers ?? {}).some((name) => name.toLowerCase() === 'idempotency-key');
  return keyed || verb === 'PUT' || verb === 'DELETE' ? 'idempotent' : 'once';
}

function effectOfFileOperation({ args }: ActionOf<'Filesystem'>): EffectClass {
  if (args.op === 'write') return 'idempotent';
  // Editing twice edits the edited text. The runner's journal can tell; without it nobody can.
  return args.op === 'edit' || args.op === 'apply_patch' ? 'once' : 'read';
}
