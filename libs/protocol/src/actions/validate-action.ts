import { childPath, isJsonObject, isWithinBytes, type JsonObject, type JsonValue } from '../json';
import type { JsonSchema, SchemaRef } from '../json-schema';
import { LIMITS } from '../limits';
import { AnyJson, ListBy, MaxJsonBytes, NestedBy, OneOf, OpenObject, Optional, Text } from '../payload-fields';
import { readPayload, throwIfAny, Violations, type PayloadClass } from '../validate';
import type { Action } from './action';
import { ACTION_TYPES, FILESYSTEM_OPS, type ActionType, type FilesystemOp } from './action-types';
import { ConfirmArgs, DeviceArgs, HttpArgs, McpArgs, MessageArgs, NodeArgs, PromptArgs } from './service-args';
import { CliArgs, FILESYSTEM_ARGS } from './workspace-args';

/** The action types that are executed today. */
export const EXECUTED_ACTIONS: ReadonlySet<ActionType> = new Set<ActionType>([
  'CLI',
  'Filesystem',
  'Http',
  'Message',
  'Watch',
  'Node',
  'Desktop',
  'Browser',
  'Confirm',
]);

/** The filesystem operations that are executed today. */
export const EXECUTED_FILESYSTEM_OPS: ReadonlySet<FilesystemOp> = new Set(
  FILESYSTEM_OPS.filter((op) => op !== 'apply_patch'),
);

/** Whether actions of that type are executed. */
export function isExecutable(type: ActionType, executable: ReadonlySet<ActionType> = EXECUTED_ACTIONS): boolean {
  return executable.has(type);
}

/** What this deployment executes; each defaults to the constant of the same meaning above. */
export interface Executable {
  readonly types?: ReadonlySet<ActionType>;
  readonly filesystemOps?: ReadonlySet<FilesystemOp>;
}

/**
 * Refuses a workflow in which some step would not be executed, at its start and not when its turn comes.
 * @param path of the list, for the error: `payload.steps`
 * @throws {ContractError} with rule `executable`
 */
export function requireExecutable(
  actions: readonly Action[],
  path: string,
  { types = EXECUTED_ACTIONS, filesystemOps = EXECUTED_FILESYSTEM_OPS }: Executable = {},
): void {
  const violations = new Violations();
  actions.forEach((action, i) => {
    const at = childPath(path, i);
    if (!isExecutable(action.type, types)) {
      violations.add(`${at}.type`, 'executable', `actions of type ${action.type} are not executed here`);
    } else if (action.type === 'Filesystem' && !filesystemOps.has(action.args.op)) {
      violations.add(`${at}.args.op`, 'executable', `the operation ${action.args.op} is not executed here`);
    } else if (action.type === 'Watch' && !isSignalWatch(action.args)) {
      const message = `is missing: only signals are watched for (a name, ${LIMITS.signalNameLength} characters at the most)`;
      violations.add(`${at}.args.signal`, 'executable', message);
    }
  });
  throwIfAny(violations);
}

/** `Watch` with `signal`, and perhaps `timeout_ms`: waits for `POST /v1/turns/:id/signals`. */
function isSignalWatch({ signal, timeout_ms: timeoutMs = 1 }: JsonObject): boolean {
  const isNamed = typeof signal === 'string' && signal.length > 0 && signal.length <= LIMITS.signalNameLength;
  return isNamed && Number.isSafeInteger(timeoutMs) && Number(timeoutMs) > 0;
}

/**
 * Checks one action: the action itself is closed, its `args` are open, and every argument we know has its type checked.
 * The action comes back as it was sent, plain and by reference, because it is fingerprinted, approved and stored.
 * @throws {ContractError} naming the fields at fault: `steps[2].args.cmd`
 */
export function validateAction(value: unknown, path = 'action'): Action {
  const violations = new Violations();
  const action = readAction(value, path, violations);
  throwIfAny(violations);
  return action as Action;
}

/** A field that is an action. */
export function ActionField(): PropertyDecorator {
  return NestedBy(readAction, { schema: actionSchema });
}

/** A field that is a list of 1…`LIMITS.stepsPerWorkflow` actions. */
export function ActionList(): PropertyDecorator {
  return ListBy(readAction, { min: 1, max: LIMITS.stepsPerWorkflow, items: actionSchema });
}

/** Any action: what all have in common, and for each type the arguments we know. */
function actionSchema(ref: SchemaRef): JsonSchema {
  const argsOf = (type: string, args: JsonSchema): JsonSchema => ({
    if: { properties: { type: { const: type } } },
    then: { properties: { args } },
  });
  const known = Object.entries(ARGS).map(([type, cls]) => argsOf(type, ref(cls)));
  const filesystem = argsOf('Filesystem', { oneOf: Object.values(FILESYSTEM_ARGS).map(ref) });
  return { allOf: [ref(ActionEnvelope), ...known, filesystem] };
}

class ActionEnvelope {
  @OneOf(ACTION_TYPES)
  type: ActionType;

  @OpenObject()
  args: JsonObject;

  @Optional()
  @AnyJson()
  @MaxJsonBytes(LIMITS.postconditionBytes)
  postcondition?: JsonValue;

  @Optional()
  @Text(LIMITS.idempotencyKeyLength)
  idempotency_key?: string;
}

const ARGS: Partial<Record<ActionType, PayloadClass>> = {
  CLI: CliArgs,
  Http: HttpArgs,
  Mcp: McpArgs,
  Node: NodeArgs,
  Desktop: DeviceArgs,
  Browser: DeviceArgs,
  Llm: PromptArgs,
  Decide: PromptArgs,
  Message: MessageArgs,
  Confirm: ConfirmArgs,
};

function readAction(value: unknown, path: string, violations: Violations): unknown {
  const before = violations.list.length;
  const envelope = readPayload(ActionEnvelope, value, path, violations);
  if (violations.list.length > before) return undefined;
  readArgs(envelope as ActionEnvelope, childPath(path, 'args'), violations);
  return value;
}

function readArgs({ type, args }: ActionEnvelope, path: string, violations: Violations): void {
  if (!isJsonObject(args)) return void violations.add(path, 'isObject', 'must be an object');
  if (!isWithinBytes(JSON.stringify(args), LIMITS.stepArgsBytes)) {
    return violations.add(path, 'maxJsonBytes', `must not be larger than ${LIMITS.stepArgsBytes} bytes`);
  }
  const cls = type === 'Filesystem' ? filesystemArgsOf(args.op) : ARGS[type];
  if (cls) readPayload(cls, args, path, violations);
  else if (type === 'Filesystem') {
    violations.add(childPath(path, 'op'), 'isIn', `must be one of ${FILESYSTEM_OPS.join(', ')}`);
  }
}

function filesystemArgsOf(op: unknown): PayloadClass | undefined {
  return FILESYSTEM_OPS.includes(op as FilesystemOp) ? FILESYSTEM_ARGS[op as FilesystemOp] : undefined;
}
