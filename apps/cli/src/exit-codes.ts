import type { TurnDetail } from '@tyrum/protocol';

/** What the process ends with. The numbers from 64 on are those of sysexits.h. */
export const ExitCode = Object.freeze({
  Ok: 0,
  Failed: 1,
  /** What getopt-style programs say to wrong arguments. */
  Usage: 2,
  Unavailable: 69,
  /** The turn waits for an operator. */
  TempFail: 75,
  Cancelled: 130,
});

/** A mistake in what was typed, or in a file that was named; `message` is one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'usage';
}

/**
 * The exit code that mirrors a turn: that of the failing command when it has one of its own to say (126 and above belong to
 * shells and signals), 75 when it waits for an operator's decision, `undefined` while it goes on.
 */
export function exitCodeOf({ turn, steps, waiting }: TurnDetail): number | undefined {
  switch (turn.status) {
    case 'succeeded':
      return ExitCode.Ok;
    case 'cancelled':
      return ExitCode.Cancelled;
    case 'failed': {
      const code = steps.find(({ status }) => status === 'failed')?.result?.exit_code;
      return typeof code === 'number' && code >= 1 && code <= 125 ? code : ExitCode.Failed;
    }
    case 'paused':
      return waiting?.kind === 'manual' ? ExitCode.TempFail : undefined;
    default:
      return undefined;
  }
}
