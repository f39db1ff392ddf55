import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from './exit-codes';

/** What every command needs to know. */
export interface CliConfig {
  /** Of the edge, without a path. */
  readonly url: string;
  readonly token: string;
  /** The installation's directory; the command line keeps its device key there. */
  readonly home: string;
}

export interface ConnectionFlags {
  readonly url?: string;
  readonly token?: string;
}

const DEFAULT_URL = 'http://127.0.0.1:8788';

/**
 * Flags, then `TYRUM_URL` and `TYRUM_TOKEN`, then what the edge left in its home directory (`TYRUM_HOME`, or `.tyrum` here).
 * @throws {UsageError} when there is no token, or the URL is none
 */
export function loadCliConfig(flags: ConnectionFlags, env: NodeJS.ProcessEnv, cwd: string): CliConfig {
  const home = resolve(cwd, env['TYRUM_HOME'] || '.tyrum');
  const url = urlFrom(flags.url ?? (env['TYRUM_URL'] || DEFAULT_URL));
  const token = flags.token ?? (env['TYRUM_TOKEN'] || undefined) ?? tokenIn(home);
  // It becomes a header: anything else in it would be an error without a name there.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageError('the token holds characters that no token has');
  return Object.freeze({ url, token, home });
}

function urlFrom(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url.origin;
  throw new UsageError(`--url: ${JSON.stringify(text)} is no http or https URL`);
}

function tokenIn(home: string): string {
  const path = join(home, 'admin-token');
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new UsageError(`no token: pass --token or set TYRUM_TOKEN. ${path}, where an edge leaves its first one, ${why}`);
  }
}
