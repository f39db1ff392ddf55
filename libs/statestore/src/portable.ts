import { NOW_MS } from './clock-sql';
import type { Statement } from './state-store';

/**
 * A statement that both dialects read alike but for the marks of its parameters and the clock: written once, with `$1`,
 * Postgres casts behind parameters (`$1::bigint`) and `{now}` for the database's time in ms.
 */
export function portable(name: string, text: string): Statement {
  return {
    name,
    postgres: text.replaceAll('{now}', NOW_MS.postgres),
    // In lower case from its first letter on, as `Statement` demands.
    sqlite: text
      .trim()
      .replace(/\$(\d+)(::\w+)?/g, '?$1')
      .replaceAll('{now}', NOW_MS.sqlite),
  };
}
