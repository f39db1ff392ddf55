import type { Command } from 'commander';
import { TURN_STATUSES } from '@tyrum/protocol';
import { connect, UsageError, type ConnectionOptions } from './config';
import { planOfCommand, planOfFile, type Plan } from './steps-file';
import { table } from './table';
import { describeAction, outputOf, watchTurn } from './watch-turn';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** What every command prints: a table or sentence for people, or the same as JSON. */
export function print(globals: Globals, value: unknown, text: string): void {
  process.stdout.write(globals.json ? `${JSON.stringify(value, null, 2)}\n` : text);
}

/** The plan that `<steps.json>` or `--cli` names; exactly one of them. @throws {UsageError} */
export function planOf(file: string | undefined, command: string | undefined): Plan {
  if ((file === undefined) === (command === undefined))
    throw new UsageError("give either a steps file or --cli '<command>'");
  return command === undefined ? planOfFile(file as string) : planOfCommand(command);
}

/** `status`, `start`, `turns`, `turn`, `cancel`, `redrive`, `signal`, `resolve`. */
export function addTurnCommands(program: Command): void {
  const globals = () => program.opts<Globals>();

  program
    .command('status')
    .description('whether the edge is ready, and how many turns are in which state')
    .action(async () => {
      const api = connect(globals());
      const ready = await api.ready();
      const lists = await Promise.all(TURN_STATUSES.map((status) => api.turns({ status, limit: 200 })));
      const counts = TURN_STATUSES.map(
        (status, i) => [status, lists[i]?.length === 200 ? '200+' : String(lists[i]?.length)] as const,
      );
      const wrong = ready.checks
        .filter((check) => !check.ok)
        .map((check) => `${check.name}: ${check.error ?? 'failed'}\n`);
      print(
        globals(),
        { ...ready, turns: Object.fromEntries(counts) },
        `${ready.status.replace('_', ' ')}\n${wrong.join('')}${table(['TURNS', ''], counts)}`,
      );
      if (ready.status !== 'ready') process.exitCode = 1;
    });

  program
    .command('start [steps]')
    .description('start a turn: a JSON file of steps (- for standard input), or one command')
    .option('--cli <command>', 'one command, split into words as a shell would')
    .option('--conversation <key>', 'the conversation it belongs to (default agent:default:main)')
    .option('--idempotency-key <key>', 'the same key starts the same turn once')
    .option('--watch', 'show steps and output until it is done; the exit code mirrors the turn')
    .action(
      async (
        file: string | undefined,
        options: { cli?: string; conversation?: string; idempotencyKey?: string; watch?: boolean },
      ) => {
        const plan = planOf(file, options.cli);
        const api = connect(globals());
        const key = options.conversation ?? plan.conversationKey ?? 'agent:default:main';
        const started = await api.start(key, plan.steps, options.idempotencyKey);
        if (!options.watch) return print(globals(), started, `${started.workflow_run_id}\n`);
        process.stderr.write(`turn ${started.workflow_run_id}\n`);
        process.exitCode = await watchTurn(api, started.workflow_run_id, {
          out: (text) => void process.stdout.write(text),
          progress: (line) => void process.stderr.write(`${line}\n`),
          signal: interrupted(),
        });
      },
    );

  program
    .command('turns')
    .description('the newest turns')
    .option('--status <status>', `only ${TURN_STATUSES.join(', ')}`)
    .option('--limit <n>', 'how many, fetched page by page', positive, 20)
    .option('--dead', 'only those given up that nobody has redriven')
    .action(async ({ dead, ...options }: { status?: string; limit: number; dead?: boolean }) => {
      const turns = await connect(globals()).turns({ ...options, ...(dead ? { dead: 'true' } : {}) });
      const rows = turns.map(({ turn, conversation_key }) => [
        turn.turn_id,
        turn.status,
        turn.created_at,
        conversation_key ?? '',
      ]);
      print(globals(), turns, table(['TURN', 'STATUS', 'CREATED', 'CONVERSATION'], rows));
    });

  program
    .command('turn <id>')
    .description('one turn with its steps and what it waits for')
    .action(async (id: string) => {
      const answer = await connect(globals()).turn(id);
      const { turn, steps } = answer;
      const rows = steps.map((step) => [
        String(step.step_index),
        step.status,
        String(step.attempts),
        step.effect,
        describeAction(step),
      ]);
      const waits = answer.waiting ? `waits for ${answer.waiting.kind}: ${answer.waiting.detail ?? ''}\n` : '';
      const failed = answer.error ? `failed: ${answer.error.message}\n` : '';
      const output = steps.map(outputOf).join('');
      const head = `${turn.turn_id}  ${turn.status}  ${turn.conversation_key}\n${waits}${failed}`;
      print(
        globals(),
        answer,
        `${head}${table(['STEP', 'STATUS', 'ATTEMPTS', 'EFFECT', 'ACTION'], rows)}${output && `\n${output}`}`,
      );
    });

  program
    .command('cancel <turn>')
    .description('cancel a turn; what it runs is stopped')
    .option('--reason <text>')
    .action(async (id: string, { reason }: { reason?: string }) => {
      const answer = (await connect(globals()).cancel(id, reason)) as { cancelled: boolean };
      print(globals(), answer, answer.cancelled ? 'cancelled\n' : 'it had ended before\n');
    });

  program
    .command('redrive <turn>')
    .description('bring back a turn that was given up; it goes on at its first step without a result')
    .option('--retry', 'a step of unknown outcome: run it again')
    .option('--done', 'a step of unknown outcome: it had its effect, go on after it')
    .action(async (id: string, options: { retry?: boolean; done?: boolean }) => {
      if (options.retry && options.done) throw new UsageError('give one of --retry and --done');
      const decision = options.retry ? 'retry' : options.done ? 'done' : undefined;
      const answer = (await connect(globals()).redrive(id, decision)) as { turn_id: string };
      print(globals(), answer, `${answer.turn_id}\n`);
    });

  program
    .command('signal <turn> <name>')
    .description('tell a turn that something it waits for has happened')
    .option('--result <json>', 'an object: the result of the step that waits')
    .action(async (id: string, name: string, { result }: { result?: string }) => {
      const answer = await connect(globals()).signal(id, name, result === undefined ? undefined : objectOf(result));
      const said = { ready: 'the turn goes on', kept: 'kept until it waits for it', already: 'it was told before' };
      print(globals(), answer, `${said[(answer as { outcome: keyof typeof said }).outcome]}\n`);
    });

  program
    .command('resolve <turn>')
    .description('decide about a step whose outcome is unknown')
    .option('--retry', 'run it again')
    .option('--done', 'it had its effect: go on after it')
    .option('--fail', 'it did not: the turn fails')
    .option('--reason <text>')
    .action(async (id: string, options: { retry?: boolean; done?: boolean; fail?: boolean; reason?: string }) => {
      const chosen = (['retry', 'done', 'fail'] as const).filter((decision) => options[decision]);
      const [decision] = chosen;
      if (!decision || chosen.length > 1) throw new UsageError('give one of --retry, --done and --fail');
      const answer = await connect(globals()).resolve(id, decision, options.reason);
      print(globals(), answer, `resolved: ${decision}\n`);
    });
}

/** @throws {UsageError} */
function positive(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new UsageError('--limit must be a whole number from 1 to 9999999');
  return Number(text);
}

/** @throws {UsageError} */
function objectOf(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new UsageError('--result must be a JSON object');
}

/** Aborts at the first Ctrl-C; the second one ends the process as usual. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  return controller.signal;
}
