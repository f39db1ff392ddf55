import { UsageError } from './config';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `30s`, `5m`, `2h`, `7d` in milliseconds. @throws {UsageError} naming the option */
export function durationMs(text: string, option: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  if (!match || unit === undefined)
    throw new UsageError(`${option}: "${text}" is not a duration like 30s, 5m, 2h or 7d`);
  return Number(match[1]) * unit;
}
