import { formatDuration, parseDurationMs } from './duration';

it.each([
  ['250ms', 250],
  ['30s', 30_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['30d', 2_592_000_000],
  ['1w', 604_800_000],
])('reads %s', (text, ms) => {
  expect(parseDurationMs(text, '--every')).toBe(ms);
});

it.each(['', '30', 's', '-1s', '1.5h', '30 s', '1h30m', '9999999999s'])('refuses %j and names the option', (text) => {
  expect(() => parseDurationMs(text, '--every')).toThrow(/^--every: /);
});

it.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [2_449, '2.4 s'],
  [61_000, '1 min'],
  [7_200_000, '2 h'],
  [200_000_000, '2 d'],
])('shows %i ms as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
