import type { JsonObject, JsonValue } from '../json';
import type { CliArgs, FilesystemArgs } from './workspace-args';
import type { ConfirmArgs, DeviceArgs, HttpArgs, McpArgs, MessageArgs, NodeArgs, PromptArgs } from './service-args';
import type { ActionType } from './action-types';

/** The arguments of each action type. Those without a class of their own are open objects. */
export interface ActionArgs {
  Research: JsonObject;
  Decide: PromptArgs;
  Llm: PromptArgs;
  Web: JsonObject;
  Browser: DeviceArgs;
  IOS: JsonObject;
  Android: JsonObject;
  Desktop: DeviceArgs;
  Filesystem: FilesystemArgs;
  CLI: CliArgs;
  Http: HttpArgs;
  Mcp: McpArgs;
  Node: NodeArgs;
  Message: MessageArgs;
  Pay: JsonObject;
  Store: JsonObject;
  Watch: JsonObject;
  Confirm: ConfirmArgs;
}

/** One step's instruction of a known type. `args` may carry fields beyond the declared ones. */
export interface ActionOf<T extends ActionType> {
  type: T;
  args: ActionArgs[T];
  /** What has to hold after the step; how a `once` step is checked after a crash. */
  postcondition?: JsonValue;
  /** The same key, the same effect; handed to receivers that can deduplicate. */
  idempotency_key?: string;
}

/** One step's instruction, told apart by `type`. Plain JSON, as it was sent. */
export type Action = { [T in ActionType]: ActionOf<T> }[ActionType];
