import type { TurnStatus } from '@tyrum/protocol';

/** The filters of the list of turns. */
export const TURN_STATUS_LABELS: Readonly<Record<'' | 'dead' | TurnStatus, string>> = {
  '': 'all',
  queued: 'queued',
  running: 'running',
  paused: 'paused',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  dead: 'given up',
};

/** Whether nothing will become of a turn any more. */
export function isOver(status: TurnStatus): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled';
}
