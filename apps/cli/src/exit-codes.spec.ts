import type { Step, TurnDetail, TurnStatus, WaitKind } from '@tyrum/protocol';
import { exitCodeOf } from './exit-codes';

function detail(status: TurnStatus, options: { exitCode?: number | null; waiting?: WaitKind } = {}): TurnDetail {
  const step = { status: 'failed', result: options.exitCode === undefined ? undefined : { exit_code: options.exitCode } };
  return {
    turn: { status },
    steps: [{ status: 'succeeded', result: { exit_code: 0 } }, step] as Step[],
    ...(options.waiting ? { waiting: { kind: options.waiting, id: '', since: '', detail: null } } : {}),
  } as TurnDetail;
}

it.each([
  [1, 1],
  [3, 3],
  [125, 125],
  [126, 1],
  [255, 1],
  [0, 1],
  [null, 1],
  [undefined, 1],
])('a command that failed with %s makes it %i', (exitCode, expected) => {
  expect(exitCodeOf(detail('failed', exitCode === undefined ? {} : { exitCode }))).toBe(expected);
});

it('mirrors how a turn ended', () => {
  expect(exitCodeOf(detail('succeeded'))).toBe(0);
  expect(exitCodeOf(detail('cancelled'))).toBe(130);
});

it('is 75 only while an operator has to decide', () => {
  expect(exitCodeOf(detail('paused', { waiting: 'manual' }))).toBe(75);
  for (const waiting of ['timer', 'approval', 'node', 'turn', 'signal'] as const) {
    expect(exitCodeOf(detail('paused', { waiting }))).toBeUndefined();
  }
});

it.each<TurnStatus>(['queued', 'running', 'paused'])('is not known while it is %s', (status) => {
  expect(exitCodeOf(detail(status))).toBeUndefined();
});
