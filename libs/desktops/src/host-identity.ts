import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isUuid } from '@tyrum/protocol';

/** The file that says which host this is holds something else. An operator must look: a guess could name another host. */
export class HostIdentityError extends Error {
  readonly code = 'host_identity_invalid';
  constructor(path: string) {
    super(`${path} does not hold a host id: restore it, or remove it to become a new host`);
    this.name = 'HostIdentityError';
  }
}

const FILE = 'desktop-host-id';

/**
 * The id of this host: made at the first start, the same ever after. It is kept in the home and not derived from the
 * machine, whose name and addresses change and are shared by clones.
 * @throws {HostIdentityError}
 */
export function readHostId(home: string, newId: () => string): string {
  const path = join(home, FILE);
  const existing = readIfThere(path) ?? create(home, path, newId());
  const hostId = existing.trim();
  if (!isUuid(hostId)) throw new HostIdentityError(path);
  return hostId;
}

/** Through a link, which is complete when it appears and fails where there is one: two first starts agree on one id. */
function create(home: string, path: string, hostId: string): string {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const draft = `${path}.${hostId}`;
  writeFileSync(draft, `${hostId}\n`, { mode: 0o600, flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
  return readFileSync(path, 'utf8');
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
