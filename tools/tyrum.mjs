#!/usr/bin/env node
// `npx tyrum` in a checkout: builds the command line when it is missing or older than its sources, then runs it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const main = join(root, 'dist', 'apps', 'cli', 'main.js');

function newest(folder) {
  return Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
  );
}

const sources = ['apps/cli/src', 'libs/protocol/src'].map((folder) => join(root, folder));
if (!existsSync(main) || statSync(main).mtimeMs < Math.max(...sources.map(newest))) {
  process.stderr.write('building the tyrum command line …\n');
  const build = spawnSync('npx', ['nx', 'build', 'cli', '--skip-nx-cache'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NX_DAEMON: 'false' },
  });
  if (build.status !== 0) {
    process.stderr.write(`${build.stdout}${build.stderr}`);
    process.exit(1);
  }
}
createRequire(import.meta.url)(main);
