import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineLine } from './machine';
import type { BenchResults } from './results';
import { renderTables } from './table';

const BEGIN = '<!-- results -->';
const END = '<!-- /results -->';

/** The page with these results in place of the ones between its markers. @throws when it has no such markers */
export function withResults(page: string, results: BenchResults): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the page has no place between ${BEGIN} and ${END}`);
  const about = `Measured on ${results.startedAt.slice(0, 10)}${results.quick ? ' with `--quick`' : ''}: ${machineLine(results.machine)}.`;
  const filled = [page.slice(0, begin) + BEGIN, about, renderTables(results), page.slice(end)].join('\n\n');
  return formatted(filled);
}

/** Writes them into the file. */
export function publish(file: string, results: BenchResults): void {
  writeFileSync(file, withResults(readFileSync(file, 'utf8'), results));
}

/** As the format check wants it, or publishing would fail the gate. By the command: the module needs a loader of its own in tests. */
function formatted(markdown: string): string {
  const cli = require.resolve('prettier/bin/prettier.cjs');
  return execFileSync(process.execPath, [cli, '--stdin-filepath', join(__dirname, 'page.md')], {
    input: markdown,
    encoding: 'utf8',
  });
}
