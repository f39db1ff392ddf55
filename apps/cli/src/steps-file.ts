import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { ContractError, validatePayload, WorkflowStartPayload, type Action } from '@tyrum/protocol';
import { UsageError } from './exit-codes';
import { splitWords } from './split-words';

/** What a turn is to do, as it was given on the command line. */
export interface StepsSource {
  /** A path, or `-` for standard input. */
  readonly file?: string;
  /** `--cli`: a command line to split. */
  readonly cli?: string;
  /** What stands after `--`: words as the shell split them. */
  readonly words?: readonly string[];
}

export interface StepsInput {
  readonly steps: Action[];
  /** When the file names one. */
  readonly conversationKey?: string;
  readonly budgets?: NonNullable<WorkflowStartPayload['budgets']>;
}

const ONE_SOURCE = "give the steps once: a steps file, --cli 'command', or -- command";

/** Reads the steps from their one source. @throws {UsageError} naming the file, or the field and what is wrong with it */
export async function readSteps(source: StepsSource, stdin: NodeJS.ReadableStream): Promise<StepsInput> {
  const words = source.words?.length ? source.words : undefined;
  if ([source.file, source.cli, words].filter((one) => one !== undefined).length !== 1) throw new UsageError(ONE_SOURCE);
  if (source.file !== undefined) return parseSteps(await readSource(source.file, stdin), source.file);
  const [cmd, ...args] = words ?? splitWords(source.cli ?? '');
  if (!cmd) throw new UsageError('--cli: the command is empty');
  return { steps: [{ type: 'CLI', args: { cmd, args } }] };
}

/**
 * Whether the conversation key and the steps are what the gateway takes, so that a mistake is found before anything is sent.
 * @throws {UsageError} naming the first field at fault
 */
export function checkWorkflow(payload: object): void {
  try {
    validatePayload(WorkflowStartPayload, payload, '');
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    throw new UsageError(error.details.map(({ field, message, rule }) => `${field}: ${message} (${rule})`)[0] ?? error.message);
  }
}

async function readSource(file: string, stdin: NodeJS.ReadableStream): Promise<string> {
  if (file === '-') return text(stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${file}: ${code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`}`);
  }
}

function parseSteps(json: string, file: string): StepsInput {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw new UsageError(`${file}: is not JSON: ${(error as Error).message}`);
  }
  // A bare list is the steps; what is no list and no object is told by the check of the whole.
  if (Array.isArray(parsed)) return { steps: parsed as Action[] };
  if (typeof parsed !== 'object' || parsed === null) throw new UsageError(`${file}: must be a list of steps, or {steps: […]}`);
  const { steps, conversation_key, budgets, ...rest } = parsed as Partial<WorkflowStartPayload>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new UsageError(`${file}: ${unknown}: is not a field of a steps file`);
  return {
    steps: steps as Action[],
    ...(conversation_key === undefined ? {} : { conversationKey: conversation_key }),
    ...(budgets === undefined ? {} : { budgets }),
  };
}
