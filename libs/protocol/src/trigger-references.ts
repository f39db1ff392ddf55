import type { Action } from './actions';
import { ContractError, type Violation } from './error-codes';
import { isJsonObject, mapTexts, type JsonValue } from './json';
import { namesSecret } from './secrets';

/** What fired a turn, as its steps may refer to it. */
export interface TriggerFacts {
  /** The body as text; what is JSON is looked into by pointers. */
  readonly body: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

const REFERENCE = /^\$trigger\.(body|headers\.([a-z0-9-]+))(\/.*)?$/s;
/** Programs that take the next word as a program of theirs. */
const INTERPRETER_FLAGS = /^(-[a-z]*[ce]|--eval|--command|\/c)$/i;

/**
 * Puts what fired a turn in place of the references in its steps' args. A reference is a whole string, never a part of one:
 * `$trigger.body` (the text), `$trigger.body/pull/number` (a JSON pointer into it) or `$trigger.headers.x-event`. In a `CLI` step
 * it becomes a word of argv (JSON text if it is no string); elsewhere it stays the JSON value that it is.
 * @param at where the steps are, for the error: `steps`
 * @throws {ContractError} `triggerReference`: there is no such value
 */
export function resolveTriggerReferences(steps: readonly Action[], trigger: TriggerFacts, at: string): Action[] {
  const violations: Violation[] = [];
  const body = new LazyBody(trigger.body);
  const resolved = steps.map((step, i) => {
    const replace = (text: string, path: string): JsonValue => {
      const reference = REFERENCE.exec(text);
      if (!reference) return text;
      const value = valueOf(reference, trigger, body);
      if (value === undefined) {
        violations.push({ field: path, rule: 'triggerReference', message: `the trigger has no ${text}` });
        return text;
      }
      // Somebody outside would decide which secret goes where.
      if (step.type === 'Http' && namesSecret(value)) {
        violations.push({ field: path, rule: 'triggerReference', message: 'a trigger must not name a secret' });
        return text;
      }
      return step.type === 'CLI' && typeof value !== 'string' ? JSON.stringify(value) : value;
    };
    return { ...step, args: mapTexts(step.args as JsonValue, replace, `${at}[${i}].args`) } as Action;
  });
  if (violations.length > 0) throw new ContractError(summary(violations), violations);
  return resolved;
}

/**
 * Refuses references where what somebody outside sends would decide what runs: the command itself, and the program text of an
 * interpreter (`sh -c`, `node -e`). @throws {ContractError} `triggerReference`
 */
export function checkTriggerReferences(steps: readonly Action[], at: string): void {
  const violations: Violation[] = [];
  for (const [i, step] of steps.entries()) {
    if (step.type !== 'CLI') continue;
    const { cmd, args = [] } = step.args as { cmd: string; args?: readonly string[] };
    const refuse = (field: string, what: string): void =>
      void violations.push({ field: `${at}[${i}].args.${field}`, rule: 'triggerReference', message: what });
    if (REFERENCE.test(cmd)) refuse('cmd', 'a trigger must not decide which command runs');
    for (const [n, word] of args.entries()) {
      if (REFERENCE.test(word) && INTERPRETER_FLAGS.test(args[n - 1] ?? ''))
        refuse(`args[${n}]`, `what follows ${args[n - 1]} is a program: pass the reference behind it, as an argument`);
    }
  }
  if (violations.length > 0) throw new ContractError(summary(violations), violations);
}

/** The body as JSON, parsed when the first pointer asks. */
class LazyBody {
  private parsed: { readonly value: JsonValue | undefined } | undefined;

  constructor(private readonly text: string) {}

  at(pointer: string): JsonValue | undefined {
    let value = (this.parsed ??= { value: parse(this.text) }).value;
    for (const part of pointer.slice(1).split('/')) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      if (Array.isArray(value)) value = /^(0|[1-9]\d*)$/.test(name) ? value[Number(name)] : undefined;
      else value = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
      if (value === undefined) return undefined;
    }
    return value;
  }
}

function valueOf(
  [, source, header, pointer]: RegExpExecArray,
  { body, headers }: TriggerFacts,
  lazy: LazyBody,
): JsonValue | undefined {
  if (source === 'body') return pointer === undefined ? body : lazy.at(pointer);
  // A header is text: there is nothing in it to point at.
  if (pointer !== undefined || header === undefined || !Object.hasOwn(headers, header)) return undefined;
  return headers[header];
}

function parse(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function summary(violations: readonly Violation[]): string {
  const [first] = violations as [Violation];
  return `${first.field}: ${first.message}`;
}
