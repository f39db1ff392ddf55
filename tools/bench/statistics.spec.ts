import { median, percentile, summarize } from './statistics';

describe('statistics', () => {
  it('takes the middle of a sample, whatever its order', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  it('takes percentiles by the nearest rank, as numbers and not as text', () => {
    const sample = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(sample, 0.5)).toBe(50);
    expect(percentile(sample, 0.99)).toBe(99);
    expect(percentile(sample, 1)).toBe(100);
    expect(percentile([9, 10], 0)).toBe(9);
  });

  it('leaves the sample as it was', () => {
    const sample = [3, 1, 2];
    median(sample);
    percentile(sample, 0.5);
    expect(sample).toEqual([3, 1, 2]);
  });

  it('refuses what has no answer', () => {
    expect(() => median([])).toThrow('needs a sample');
    expect(() => percentile([], 0.5)).toThrow('needs a sample');
    expect(() => percentile([1], 99)).toThrow(RangeError);
  });

  it('summarizes rounds with their range', () => {
    expect(summarize([10, 30, 20])).toEqual({ median: 20, min: 10, max: 30, rounds: 3 });
  });
});
