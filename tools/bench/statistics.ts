/** The value below which a share of the sample lies, by the nearest rank. @throws on an empty sample */
export function percentile(sample: readonly number[], share: number): number {
  if (sample.length === 0) throw new Error('a percentile needs a sample');
  if (share < 0 || share > 1) throw new RangeError(`a share is between 0 and 1, not ${share}`);
  const sorted = [...sample].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}

/** The middle of a sample; of an even one, the mean of the two in the middle. */
export function median(sample: readonly number[]): number {
  if (sample.length === 0) throw new Error('a median needs a sample');
  const sorted = [...sample].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** What the rounds of one measurement came to. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

export function summarize(rounds: readonly number[]): Summary {
  return { median: median(rounds), min: Math.min(...rounds), max: Math.max(...rounds), rounds: rounds.length };
}
