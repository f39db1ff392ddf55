import { FailedAttempts } from './failed-attempts';

it('calls it too many from the 31st failure of an address within a minute on', () => {
  let now = 0;
  const attempts = new FailedAttempts(() => now);
  const results = Array.from({ length: 31 }, () => attempts.record('a'));
  expect(results.lastIndexOf(false)).toBe(29);
  expect(results[30]).toBe(true);
  expect(attempts.record('b')).toBe(false);
  now = 60_000;
  expect(attempts.record('a')).toBe(false);
});
