import { join } from 'node:path';
import type { Effect } from './history';

/** A line of the effect ledger. `crash-…`: the step is about to kill its worker there. */
export interface EffectLine {
  readonly at: number;
  readonly mark: 'begin' | 'end' | 'crash-before' | 'crash-in' | 'crash-after';
  /** One execution. */
  readonly run: string;
  readonly op: string;
  readonly step: number;
  readonly effect: Effect;
  readonly conversation: string;
  readonly turn: string;
  readonly key: string;
  readonly token: number;
}

export type CrashPoint = 'before' | 'in' | 'after' | 'none';

export interface EffectStep {
  readonly effect: Effect;
  readonly pauseMs: number;
  readonly crash: CrashPoint;
}

export const EFFECT_SCRIPT = join(__dirname, 'effect.sh');

/** The CLI action that tells the ledger of its effect. */
export function effectAction(
  ledger: string,
  op: { readonly name: string; readonly conversation: string },
  index: number,
  { effect, pauseMs, crash }: EffectStep,
): { type: 'CLI'; args: Record<string, unknown> } {
  const args = [EFFECT_SCRIPT, ledger, op.name, String(index), effect, op.conversation, String(pauseMs / 1_000), crash];
  return { type: 'CLI', args: { cmd: 'sh', args, effect, timeout_ms: 20_000 } };
}

/** The op that a turn's input names. */
export function opOf(input: string): string {
  const { steps } = JSON.parse(input) as { steps?: { args?: { args?: string[] } }[] };
  return steps?.[0]?.args?.args?.[2] ?? '';
}
