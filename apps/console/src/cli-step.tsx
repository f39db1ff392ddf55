import type { StepsExecution } from '@tyrum/protocol';
import { Choice, Field, type Filled } from './form';

const EFFECTS = {
  once: 'once: never repeated, you decide when its outcome is unknown',
  idempotent: 'idempotent: may run again',
  read: 'read: changes nothing',
};

/** The fields of a workflow with one shell command. Longer ones are started over the command line or the API. */
export function CliStepFields() {
  return (
    <>
      <Field
        name="command"
        label="Command"
        rows={2}
        required
        placeholder="echo hello"
        hint="Run by sh in the agent’s workspace."
      />
      <Field name="conversation_key" label="Conversation" defaultValue="agent:default:main" required />
      <Choice name="effect" label="Effect" options={EFFECTS} />
    </>
  );
}

/** What those fields say. */
export function cliStepOf(filled: Filled): Pick<StepsExecution, 'conversation_key' | 'steps'> {
  const effect = filled.text('effect') as keyof typeof EFFECTS;
  return {
    conversation_key: filled.text('conversation_key') ?? '',
    steps: [{ type: 'CLI', args: { cmd: 'sh', args: ['-c', filled.text('command') ?? ''], effect } }],
  };
}

/** An action in one line, for lists. */
export function summaryOf({ type, args }: { readonly type: string; readonly args: object }): string {
  const { cmd, args: words = [], op, method, url, prompt, path } = args as Record<string, unknown>;
  const command =
    cmd === 'sh' && Array.isArray(words) && words[0] === '-c' ? [words[1]] : [cmd, ...(words as unknown[])];
  const rest = type === 'CLI' ? command : [op ?? method, path, url, prompt];
  return [type, ...rest].filter((word) => word !== undefined).join(' ');
}
