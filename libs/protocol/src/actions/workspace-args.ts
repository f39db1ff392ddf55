import { LIMITS } from '../limits';
import { Flag, OneOf, Optional, Text, TextList, WholeNumber } from '../payload-fields';
import { EFFECT_CLASSES, type EffectClass } from '../turn';
import { SecretEnvironment } from '../secrets';
import { OpenFields } from '../validate';

/** `CLI`: one command, without a shell around it. */
@OpenFields()
export class CliArgs {
  @Text(LIMITS.commandLength)
  cmd: string;

  @Optional()
  @TextList(LIMITS.commandArgs, LIMITS.commandArgLength, 0)
  args?: string[];

  /** Inside the workspace; the workspace itself when absent. */
  @Optional()
  @Text(LIMITS.pathLength)
  cwd?: string;

  /** An addition of ours: variables of its environment, each with a handle `secret:<key>`. */
  @Optional()
  @SecretEnvironment()
  env?: Record<string, string>;

  @Optional()
  @WholeNumber(1, LIMITS.stepTimeoutMaxMs)
  timeout_ms?: number;

  /** An addition of ours: what a takeover may do with this command; `once` when absent. */
  @Optional()
  @OneOf(EFFECT_CLASSES)
  effect?: EffectClass;
}

/** `Filesystem` `read`: lines `offset` (from 1) … `offset + limit - 1`, or the whole file. */
@OpenFields()
export class FilesystemReadArgs {
  @OneOf(['read'])
  op: 'read';

  @Text(LIMITS.pathLength)
  path: string;

  @Optional()
  @WholeNumber(0)
  offset?: number;

  @Optional()
  @WholeNumber(1)
  limit?: number;
}

export const WRITE_ENCODINGS = ['utf8', 'base64'] as const;

@OpenFields()
export class FilesystemWriteArgs {
  @OneOf(['write'])
  op: 'write';

  @Text(LIMITS.pathLength)
  path: string;

  @Text(LIMITS.stepArgsBytes, 0)
  content: string;

  /** `utf8` when absent. */
  @Optional()
  @OneOf(WRITE_ENCODINGS)
  encoding?: (typeof WRITE_ENCODINGS)[number];
}

@OpenFields()
export class FilesystemEditArgs {
  @OneOf(['edit'])
  op: 'edit';

  @Text(LIMITS.pathLength)
  path: string;

  /** Has to occur exactly once unless `replace_all`. */
  @Text(LIMITS.stepArgsBytes)
  old_text: string;

  @Text(LIMITS.stepArgsBytes, 0)
  new_text: string;

  @Optional()
  @Flag()
  replace_all?: boolean;
}

@OpenFields()
export class FilesystemApplyPatchArgs {
  @OneOf(['apply_patch'])
  op: 'apply_patch';

  @Text(LIMITS.stepArgsBytes)
  patch: string;
}

@OpenFields()
export class FilesystemListArgs {
  @OneOf(['list'])
  op: 'list';

  /** The workspace itself when absent. */
  @Optional()
  @Text(LIMITS.pathLength)
  path?: string;
}

@OpenFields()
export class FilesystemGlobArgs {
  @OneOf(['glob'])
  op: 'glob';

  @Text(LIMITS.pathLength)
  pattern: string;

  @Optional()
  @Text(LIMITS.pathLength)
  path?: string;
}

@OpenFields()
export class FilesystemGrepArgs {
  @OneOf(['grep'])
  op: 'grep';

  @Text(LIMITS.pathLength)
  pattern: string;

  @Optional()
  @Text(LIMITS.pathLength)
  path?: string;

  /** Only files whose path matches. */
  @Optional()
  @Text(LIMITS.pathLength)
  glob?: string;

  @Optional()
  @Flag()
  ignore_case?: boolean;
}

export type FilesystemArgs =
  | FilesystemReadArgs
  | FilesystemWriteArgs
  | FilesystemEditArgs
  | FilesystemApplyPatchArgs
  | FilesystemListArgs
  | FilesystemGlobArgs
  | FilesystemGrepArgs;

/** The payload class of each filesystem operation. */
export const FILESYSTEM_ARGS = {
  read: FilesystemReadArgs,
  write: FilesystemWriteArgs,
  edit: FilesystemEditArgs,
  apply_patch: FilesystemApplyPatchArgs,
  list: FilesystemListArgs,
  glob: FilesystemGlobArgs,
  grep: FilesystemGrepArgs,
} as const;
