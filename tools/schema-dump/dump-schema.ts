import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
// By path: this runs outside jest and webpack, and @swc-node/register does not know the workspace's aliases.
import { openStateStore, type DatabaseAddress } from '../../libs/statestore/src/index';
import { createSqlitePath, startOwnPostgres } from '../test-services/index';
import { describeSchema } from './describe-schema';
import { SCHEMA_FOLDER } from './schema-folder';

/*
 * Writes the schema that the migrations lead to into `libs/statestore/schema`, so that a review shows what a migration
 * comes to. With `--check` it writes nothing and exits with 1 and a diff when the files say something else.
 */

async function dump(address: DatabaseAddress): Promise<string> {
  const store = await openStateStore(address);
  try {
    return await describeSchema(store);
  } finally {
    await store.close();
  }
}

/** Prints how the file differs. True = it does not. */
function isUnchanged(file: string, schema: string): boolean {
  const { status, stdout, stderr } = spawnSync('diff', ['-u', file, '-'], { input: schema, encoding: 'utf8' });
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  return status === 0;
}

async function main(): Promise<void> {
  const server = await startOwnPostgres({ fsync: 'off' });
  const file = createSqlitePath();
  try {
    const schemas = {
      'postgres.sql': await dump({ kind: 'postgres', url: server.url }),
      'sqlite.sql': await dump({ kind: 'sqlite', path: file.path }),
    };
    mkdirSync(SCHEMA_FOLDER, { recursive: true });
    for (const [name, schema] of Object.entries(schemas)) {
      const path = join(SCHEMA_FOLDER, name);
      if (!process.argv.includes('--check')) writeFileSync(path, schema);
      else if (!isUnchanged(path, schema)) process.exitCode = 1;
    }
    if (process.exitCode) console.error('the schema is not what the migrations lead to: run `npm run schema:dump`');
  } finally {
    file.remove();
    await server.stop();
  }
}

void main();
