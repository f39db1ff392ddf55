import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { eventually } from '@tyrum/test-services';
import { collectStartUp } from './collect-start-up';

/** As Node tells it. */
type Collection = PerformanceEntry & { readonly detail: { readonly kind: number; readonly flags: number } };

it('asks V8 for one whole collection, a while after the start', async () => {
  const forced: Collection[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as Collection[]) {
      if (entry.detail.flags === constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) forced.push(entry);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance'] });
  collectStartUp();
  jest.advanceTimersByTime(4_000);
  await new Promise((resolve) => setImmediate(resolve));
  expect(forced).toEqual([]);
  jest.advanceTimersByTime(60_000);
  jest.useRealTimers();
  await eventually(() =>
    expect(forced.map(({ detail }) => detail.kind)).toEqual([constants.NODE_PERFORMANCE_GC_MAJOR]),
  );
  observer.disconnect();
});
