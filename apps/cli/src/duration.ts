import { UsageError } from './exit-codes';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of `250ms`, `30s`, `5m`, `2h`, `30d`, `1w`. @param option named in the error @throws {UsageError} */
export function parseDurationMs(text: string, option: string): number {
  const [, count, unit] = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) {
    throw new UsageError(`${option}: ${JSON.stringify(text)} is no duration such as 30s, 5m, 2h or 30d`);
  }
  return Number(count) * (UNIT_MS[unit] ?? 0);
}

/** `850 ms`, `2.4 s`, `3 min`, `5 h`, `2 d`: one unit, because a glance is all it gets. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}
