import type { Step } from '@tyrum/protocol';
import { UnreachableError, type EdgeApi, type TurnAnswer } from './edge-api';

/** Where progress goes and how long to wait between looks. */
export interface WatchOptions {
  /** The steps' own output. */
  readonly out: (text: string) => void;
  /** Everything said about it. */
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

const LOOK_MS = 150;
/** How long an edge may be away (a restart) before watching gives up. */
const AWAY_MS = 120_000;
/** EX_TEMPFAIL of sysexits.h: it goes on once somebody decides. */
const EXIT_NEEDS_DECISION = 75;
const EXIT_INTERRUPTED = 130;

/**
 * Shows a turn's steps and their output as they come, until it ends or waits for a person. Returns the exit code that
 * mirrors it: 0 succeeded; a failed command's own code, else 1; 130 cancelled; 75 it waits for a decision.
 */
export async function watchTurn(api: EdgeApi, turnId: string, options: WatchOptions): Promise<number> {
  const shown = new Map<number, string>();
  let awaySince: number | undefined;
  while (!options.signal.aborted) {
    let answer: TurnAnswer | undefined;
    try {
      answer = await api.turn(turnId);
      awaySince = undefined;
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      if (awaySince === undefined) options.progress('the edge is away; waiting for it');
      awaySince ??= performance.now();
      if (performance.now() - awaySince > AWAY_MS) throw error;
    }
    if (answer) {
      showSteps(answer.steps, shown, options);
      const code = exitCodeOf(answer, turnId, options);
      if (code !== undefined) return code;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  options.progress(`stopped watching; the turn goes on. Cancel it with: npx tyrum cancel ${turnId}`);
  return EXIT_INTERRUPTED;
}

function showSteps(steps: readonly Step[], shown: Map<number, string>, { out, progress }: WatchOptions): void {
  for (const step of steps) {
    const state = `${step.status}/${step.attempts}`;
    if (step.status === 'queued' || shown.get(step.step_index) === state) continue;
    shown.set(step.step_index, state);
    const took = step.result?.['duration_ms'] === undefined ? '' : ` (${String(step.result['duration_ms'])} ms)`;
    const attempt = step.attempts > 1 ? ` attempt ${step.attempts}` : '';
    progress(
      `step ${step.step_index} ${describeAction(step)}: ${step.status}${attempt}${took}${step.error ? `: ${step.error.message}` : ''}`,
    );
    if (step.status === 'succeeded' || step.status === 'failed') out(outputOf(step));
  }
}

/** A step's output as text, ended by a line break. */
export function outputOf(step: Step): string {
  if (!step.result) return '';
  const { output } = step.result;
  const rest = step.action.type === 'Filesystem' ? step.result : undefined;
  const text = typeof output === 'string' ? output : rest ? JSON.stringify(rest, null, 2) : '';
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

/** One line for what a step does. */
export function describeAction({ action }: Step): string {
  const args = action.args as Record<string, unknown>;
  const words = [
    args['cmd'],
    ...(Array.isArray(args['args']) ? args['args'] : []),
    args['op'],
    args['method'],
    args['path'],
    args['url'],
  ];
  const line = [action.type, ...words.filter((word) => typeof word === 'string')].join(' ');
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

function exitCodeOf(
  { turn, steps, error }: TurnAnswer,
  turnId: string,
  { progress }: WatchOptions,
): number | undefined {
  switch (turn.status) {
    case 'succeeded':
      return 0;
    case 'failed': {
      progress(`failed: ${error?.message ?? 'see its steps'}`);
      const code = steps.find((step) => step.status === 'failed')?.result?.exit_code;
      return typeof code === 'number' && code > 0 && code < 126 ? code : 1;
    }
    case 'cancelled':
      progress('cancelled');
      return EXIT_INTERRUPTED;
    case 'paused':
      if (turn.blocked_reason === undefined) return undefined;
      progress(`waits for you: ${turn.blocked_detail ?? turn.blocked_reason}`);
      progress(`decide with: npx tyrum resolve ${turnId} --retry | --done | --fail`);
      return EXIT_NEEDS_DECISION;
    default:
      return undefined;
  }
}
