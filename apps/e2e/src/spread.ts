/** How many of the values lie in each bucket of `bucketMs`, the first beginning at 0. */
export function histogram(valuesMs: readonly number[], bucketMs: number): number[] {
  const counts: number[] = [];
  for (const value of valuesMs) {
    const bucket = Math.max(0, Math.floor(value / bucketMs));
    while (counts.length <= bucket) counts.push(0);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return counts;
}

/** One line a bucket, as a person reads it in a test's output. */
export function renderHistogram(counts: readonly number[], bucketMs: number): string {
  const most = Math.max(...counts, 1);
  const lines = counts.map((count, i) => {
    const from = String(i * bucketMs).padStart(6);
    return `${from} ms  ${String(count).padStart(6)}  ${'#'.repeat(Math.ceil((count / most) * 40))}`;
  });
  return lines.join('\n');
}
