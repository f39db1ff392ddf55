import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ContenderDatabase } from './contender';

/** What `contender.js` loads for a name: its own engine, or a peer's module. */
export function moduleOf(name: string): string {
  return name === 'tyrum' ? name : pathToFileURL(join(__dirname, 'peers', `${name}.mjs`)).href;
}

/** A contender keeps its state where the case says, unless it knows only one place. */
export function databaseOf(name: string, kind: ContenderDatabase['kind']): ContenderDatabase['kind'] {
  return name === 'bullmq' ? 'redis' : kind;
}
