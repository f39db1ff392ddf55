import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeApi } from './edge-api';

/** The words of a call were off. */
export class UsageError extends Error {}

export interface ConnectionOptions {
  readonly url?: string;
  readonly token?: string;
}

const DEFAULT_URL = 'http://127.0.0.1:8788';

/** The edge that the options, the environment (TYRUM_URL, TYRUM_TOKEN) or this folder's `.tyrum` name. @throws {UsageError} */
export function connect(options: ConnectionOptions): EdgeApi {
  const env = process.env;
  const url = options.url ?? env['TYRUM_URL'] ?? DEFAULT_URL;
  if (!URL.canParse(url)) throw new UsageError(`--url: "${url}" is not a URL`);
  return new EdgeApi(url, options.token ?? env['TYRUM_TOKEN'] ?? storedToken(env['TYRUM_HOME'] ?? '.tyrum'));
}

function storedToken(home: string): string {
  const path = join(home, 'admin-token');
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new UsageError(
      `no token: ${path} is not there. Start the edge in this folder, or give --token or TYRUM_TOKEN`,
    );
  }
}
