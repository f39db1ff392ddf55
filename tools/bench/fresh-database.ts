import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase } from '../test-services/databases';
import type { ContenderDatabase } from './contender';

export interface FreshDatabase extends ContenderDatabase {
  drop(): Promise<void>;
}

export interface Servers {
  readonly postgres: string;
  readonly redis: string | undefined;
}

/** An empty database of one run. */
export async function freshDatabase(kind: ContenderDatabase['kind'], servers: Servers): Promise<FreshDatabase> {
  if (kind === 'postgres') {
    const { url, drop } = await createDatabase(servers.postgres);
    return { kind, address: url, drop };
  }
  if (kind === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'tyrum-bench-'));
    const drop = async () => rmSync(folder, { recursive: true, force: true });
    return { kind, address: join(folder, 'bench.db'), drop };
  }
  if (!servers.redis) throw new Error('no Redis answers');
  // A prefix of its own, which the contender empties when it closes.
  return { kind, address: `${servers.redis}#tyrum-bench-${randomUUID()}`, drop: () => Promise.resolve() };
}
