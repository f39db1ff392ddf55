import { readFileSync } from 'node:fs';
import { ContractError, validateAction, type Action } from '@tyrum/protocol';
import { commandWords } from './command-words';
import { UsageError } from './config';

/** What a turn shall run. */
export interface Plan {
  readonly steps: readonly Action[];
  readonly conversationKey?: string;
}

/** One `CLI` step from a command line. @throws {UsageError} */
export function planOfCommand(line: string): Plan {
  let words: string[];
  try {
    words = commandWords(line);
  } catch (error) {
    throw new UsageError(`--cli: ${(error as Error).message}`);
  }
  const [cmd, ...args] = words;
  if (!cmd) throw new UsageError('--cli: the command is empty');
  return { steps: [{ type: 'CLI', args: { cmd, args } } as Action] };
}

/** A file's steps: a JSON list of actions, or `{conversation_key?, steps}`; `-` reads standard input. @throws {UsageError} */
export function planOfFile(path: string): Plan {
  const content = parse(path);
  const { steps, conversation_key } = (Array.isArray(content) ? { steps: content } : content) as {
    steps?: unknown;
    conversation_key?: string;
  };
  if (!Array.isArray(steps) || steps.length === 0)
    throw new UsageError(`${path}: expected a list of steps, or an object with "steps"`);
  try {
    const checked = steps.map((step, i) => validateAction(step, `steps[${i}]`));
    return { steps: checked, ...(conversation_key === undefined ? {} : { conversationKey: conversation_key }) };
  } catch (error) {
    if (error instanceof ContractError) throw new UsageError(`${path}: ${error.message}`);
    throw error;
  }
}

function parse(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(error)}`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path}: not JSON: ${(error as Error).message}`);
  }
}
