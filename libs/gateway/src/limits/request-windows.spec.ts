import { RequestWindows, WINDOW_MS } from './request-windows';

let now: number;
const windows = () => new RequestWindows(() => now);
beforeEach(() => void (now = 7 * WINDOW_MS + 1_000));

it('lets the limit through in a window and says when the next one begins', () => {
  const one = windows();
  expect([one.take('a', 2), one.take('a', 2), one.take('a', 2), one.take('b', 2)]).toEqual([
    0,
    0,
    WINDOW_MS - 1_000,
    0,
  ]);
  now = 8 * WINDOW_MS;
  expect(one.take('a', 2)).toBe(0);
});

it('counts what other edges took, once it has heard of it, and its own only once', () => {
  const [one, other] = [windows(), windows()];
  const totals = new Map<string, number>();
  const exchange = (edge: RequestWindows): void => {
    for (const delta of edge.tell()) {
      totals.set(delta.key, (totals.get(delta.key) ?? 0) + delta.count);
      edge.hear(delta, totals.get(delta.key) as number);
    }
  };
  for (let i = 0; i < 3; i += 1) expect(one.take('a', 5)).toBe(0);
  exchange(one);
  expect(other.take('a', 5)).toBe(0);
  exchange(other);
  expect([other.take('a', 5), other.take('a', 5)]).toEqual([0, expect.any(Number)]);
  expect(other.take('a', 5)).toBeGreaterThan(0);
  // Nothing is told twice, and a total of a window that is over changes nothing.
  exchange(other);
  expect(other.tell()).toEqual([]);
  now += WINDOW_MS;
  other.hear({ key: 'a', windowStartedAt: 7 * WINDOW_MS, count: 1 }, 1_000);
  expect(other.take('a', 1)).toBe(0);
});

it('tells again what was lost on the way, or where it was kept', () => {
  const one = windows();
  for (let i = 0; i < 3; i += 1) one.take('a', 9);
  const [lost] = one.tell();
  one.untell(lost!);
  one.take('a', 9);
  const [told] = one.tell();
  expect(told?.count).toBe(4);
  one.hear(told!, 6);
  one.take('a', 9);
  // Somebody emptied it: of what was told, only the last is there.
  const [last] = one.tell();
  one.hear(last!, 1);
  expect(one.tell()).toEqual([{ ...told, count: 4 }]);
});

it('forgets who came first when there are too many', () => {
  const one = windows();
  expect([one.take('first', 1), one.take('first', 1)]).toEqual([0, expect.any(Number)]);
  for (let i = 0; i < 50_000; i += 1) one.take(String(i), 1);
  expect(one.take('first', 1)).toBe(0);
});
