import { Worker } from 'node:worker_threads';
import { RunnerError, type RunnerResult } from './messages';

/** Longest time a search may take. A pattern can need for ever, and nothing but ending its thread stops it. */
const BUDGET_MS = 5_000;
const MAX_MATCHES = 1_000;
const MAX_LINE = 2_000;

/** Runs in a thread of its own; plain JavaScript, because it has no file to be loaded from once the app is bundled. */
const SEARCH = `
const { parentPort, workerData } = require('node:worker_threads');
const { files, pattern, flags, maxMatches, maxLine } = workerData;
const regexp = new RegExp(pattern, flags);
const matches = [];
let more = false;
for (const { path, text } of files) {
  const lines = text.split('\\n');
  for (let i = 0; i < lines.length && !more; i += 1) {
    if (!regexp.test(lines[i])) continue;
    if (matches.length === maxMatches) more = true;
    else matches.push({ path, line: i + 1, text: lines[i].slice(0, maxLine) });
  }
}
parentPort.postMessage({ matches, truncated: more });
`;

/** The lines that match, file by file. @throws {RunnerError} `invalid_pattern`, `pattern_too_slow` */
export function grepFiles(
  files: readonly { path: string; text: string }[],
  pattern: string,
  ignoreCase: boolean,
): Promise<RunnerResult> {
  const flags = ignoreCase ? 'iu' : 'u';
  try {
    new RegExp(pattern, flags);
  } catch (error) {
    return Promise.reject(new RunnerError('invalid_pattern', (error as Error).message));
  }
  return new Promise((resolve, reject) => {
    const workerData = { files, pattern, flags, maxMatches: MAX_MATCHES, maxLine: MAX_LINE };
    const worker = new Worker(SEARCH, { eval: true, workerData, env: {} });
    const timer = setTimeout(() => {
      void worker.terminate();
      reject(new RunnerError('pattern_too_slow', `the search did not end within ${BUDGET_MS} ms`));
    }, BUDGET_MS);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => clearTimeout(timer));
  });
}
