import { CloseCode, isFinalCloseCode, restartDelayMs } from './close-codes';

it('treats exactly 4005 to 4008 as final', () => {
  expect(Object.values(CloseCode).filter(isFinalCloseCode)).toEqual([4005, 4006, 4007, 4008]);
});

it('reads the delay of a restart, bounded', () => {
  expect(restartDelayMs('250', 1_000)).toBe(250);
  expect(restartDelayMs('999999', 1_000)).toBe(1_000);
  for (const reason of ['', 'soon', '-1', '1e9', '1.5', '99999999999999'])
    expect(restartDelayMs(reason, 1_000)).toBeUndefined();
});
