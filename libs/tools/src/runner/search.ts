import picomatch from 'picomatch';
import { Worker } from 'node:worker_threads';
import { RunnerError, type RunnerResult } from './messages';

/** Longest time a search may take. A pattern can need for ever, and nothing but ending its thread stops it. */
const BUDGET_MS = 5_000;
const MAX_MATCHES = 1_000;
const MAX_LINE = 2_000;

/** Runs in a thread of its own; plain JavaScript, because it has no file to be loaded from once the app is bundled. */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
const { paths, files, pattern, flags, maxMatches, maxLine } = workerData;
const regexp = new RegExp(pattern, flags);
if (paths) {
  parentPort.postMessage(paths.filter((path) => regexp.test(path)));
} else {
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
}
`;

/** The paths a glob pattern matches. A glob becomes a regular expression, and `*a*a*a*a*b` is as slow as any. @throws {RunnerError} as below */
export function matchingPaths(paths: readonly string[], glob: string): Promise<string[]> {
  const pattern = compiled(() => picomatch.makeRe(glob, { dot: true }));
  return search<string[]>({ paths, pattern: pattern.source, flags: pattern.flags });
}

/** The lines that match, file by file. @throws {RunnerError} `invalid_pattern`, `pattern_too_slow` */
export function matchingLines(
  files: readonly { path: string; text: string }[],
  pattern: string,
  ignoreCase: boolean,
): Promise<RunnerResult> {
  const flags = ignoreCase ? 'iu' : 'u';
  compiled(() => new RegExp(pattern, flags));
  return search<RunnerResult>({ files, pattern, flags });
}

function compiled(compile: () => RegExp | false): RegExp {
  try {
    const pattern = compile();
    if (pattern) return pattern;
  } catch (error) {
    throw new RunnerError('invalid_pattern', (error as Error).message);
  }
  throw new RunnerError('invalid_pattern', 'the pattern cannot be read');
}

function search<T>(what: object): Promise<T> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(THREAD, {
      eval: true,
      workerData: { ...what, maxMatches: MAX_MATCHES, maxLine: MAX_LINE },
      env: {},
    });
    const timer = setTimeout(() => {
      void worker.terminate();
      reject(new RunnerError('pattern_too_slow', `the search did not end within ${BUDGET_MS} ms`));
    }, BUDGET_MS);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => {
      clearTimeout(timer);
      reject(new RunnerError('search_failed', 'the search ended without an answer'));
    });
  });
}
