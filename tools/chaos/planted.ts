import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { execFileSync, spawn } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { once } from 'node:events';
import type { Verdict } from './checker';

const ROOT = join(__dirname, '..', '..');
const PATCHES = join(__dirname, 'planted');
const BIN = join(ROOT, 'node_modules', '.bin');
const APPS = 'edge,worker,scheduler,desktop-runtime';
const BUILD_TIMEOUT_MS = 180_000;
const DETECTOR_TIMEOUT_MS = 300_000;

/** A mistake that somebody might make, as a patch with a head that says where it shows. */
export interface PlantedBug {
  readonly name: string;
  readonly bug: string;
  readonly store: 'sqlite' | 'postgres';
  /** Undefined: whole runs do not show it. */
  readonly faults: string | undefined;
  /** The guarantees that see it in a whole run; one is enough. */
  readonly caughtBy: readonly string[];
  /** The tests that must fail with it: a file, and a part of their names. */
  readonly detector: { readonly file: string; readonly tests: string };
  readonly patch: string;
}

export interface Catch {
  readonly caught: boolean;
  /** The guarantees that were violated, or the tests that failed. */
  readonly by: readonly string[];
  readonly seconds: number;
}

export function plantedBugs(): PlantedBug[] {
  return readdirSync(PATCHES)
    .filter((name) => name.endsWith('.patch'))
    .sort()
    .map((file) => parsePatch(basename(file, '.patch'), readFileSync(join(PATCHES, file), 'utf8')));
}

/** @throws when a line of the head is missing */
export function parsePatch(name: string, patch: string): PlantedBug {
  const head = (field: string) => {
    const found = new RegExp(`^${field}: (.+)$`, 'm').exec(patch)?.[1];
    if (!found) throw new Error(`${name}.patch has no line "${field}: …"`);
    return found;
  };
  const store = head('store');
  if (store !== 'sqlite' && store !== 'postgres') throw new Error(`${name}.patch: ${store} is no store`);
  const [file = '', tests = ''] = head('detector').split(' :: ');
  const faults = head('faults');
  const seenByRuns = faults !== 'none';
  return {
    name,
    bug: head('bug'),
    store,
    faults: seenByRuns ? faults : undefined,
    caughtBy: seenByRuns ? head('caught by').split(' ') : [],
    detector: { file, tests },
    patch,
  };
}

/** Runs the tests that must see the bug against a copy of the source that has it. A file that does not compile sees nothing. */
export function detectPlanted(bug: PlantedBug, seed: number): Promise<Catch> {
  return inCopy(bug, async (copy) => {
    const { file, tests } = bug.detector;
    const results = join(copy, 'detector.json');
    const project = file.endsWith('.int.spec.ts') ? 'int' : 'unit';
    const args = ['--selectProjects', project, '--runTestsByPath', file, '-t', tests, '--forceExit'];
    const env = { ...process.env, TYRUM_MODEL_SEED: String(seed), TYRUM_MODEL_SHRINK: '0' };
    const command = [join(BIN, 'jest'), ...args, '--json', '--outputFile', results];
    const child = spawn(process.execPath, command, { cwd: copy, env, stdio: 'ignore', timeout: DETECTOR_TIMEOUT_MS });
    await once(child, 'exit');
    return existsSync(results) ? failedIn(results) : [];
  });
}

/** Builds the apps with the bug and runs the chaos against them. */
export function runPlanted(bug: PlantedBug, seed: number, out: string): Promise<Catch> {
  const caughtBy = new Set(bug.caughtBy);
  return inCopy(
    bug,
    async (copy, env) => {
      execFileSync(process.execPath, [join(BIN, 'nx'), 'run-many', '-t', 'build', '-p', APPS, '--skip-nx-cache'], {
        cwd: copy,
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: BUILD_TIMEOUT_MS,
      });
      const args = ['--profile', 'planted', '--store', bug.store, '--faults', bug.faults ?? '', '--seed', String(seed)];
      mkdirSync(out, { recursive: true });
      const command = ['run', '-s', 'chaos', '--', ...args, '--out', out];
      await once(spawn('npm', command, { cwd: copy, env, stdio: 'ignore' }), 'exit');
      return violatedIn(out);
    },
    (by) => by.some((guarantee) => caughtBy.has(guarantee)),
  );
}

/** Nothing of the bug is in the product: the mutation exists in the copy alone. */
async function inCopy(
  bug: PlantedBug,
  work: (copy: string, env: NodeJS.ProcessEnv) => Promise<string[]>,
  isCaught = (by: readonly string[]) => by.length > 0,
): Promise<Catch> {
  const startedAt = performance.now();
  // Two that run side by side keep out of each other's way.
  const folder = join('tmp', 'planted', `${bug.name}-${process.pid}`);
  const copy = join(ROOT, folder);
  rmSync(copy, { recursive: true, force: true });
  try {
    copySource(copy);
    const stdio: ['pipe', 'ignore', 'inherit'] = ['pipe', 'ignore', 'inherit'];
    execFileSync('git', ['apply', '--directory', folder, '-'], { cwd: ROOT, input: bug.patch, stdio });
    const by = await work(copy, { ...process.env, NX_DAEMON: 'false' });
    return { caught: isCaught(by), by, seconds: Math.round((performance.now() - startedAt) / 1_000) };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

interface JestResults {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

function failedIn(results: string): string[] {
  const { testResults } = JSON.parse(readFileSync(results, 'utf8')) as JestResults;
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  return all.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
}

function violatedIn(out: string): string[] {
  const path = join(out, 'verdict.json');
  if (!existsSync(path)) return [];
  const { violations } = JSON.parse(readFileSync(path, 'utf8')) as Verdict;
  return [...new Set(violations.map(({ guarantee }) => guarantee))];
}

/** What git knows and what it does not ignore. */
function copySource(copy: string): void {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' });
  for (const file of listed.split('\0').filter((name) => name !== '' && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(ROOT, file), join(copy, file));
  }
  // Webpack leaves outside the bundle what it finds here.
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
}
