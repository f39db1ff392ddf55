import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { execFileSync, spawn } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { once } from 'node:events';
import type { Verdict } from './checker';

const ROOT = join(__dirname, '..', '..');
const PATCHES = join(__dirname, 'planted');
const NX = join(ROOT, 'node_modules', '.bin', 'nx');
const APPS = 'edge,worker,scheduler,desktop-runtime';
const BUILD_TIMEOUT_MS = 180_000;

/** A mistake that somebody might make, as a patch with a head that says where it shows. */
export interface PlantedBug {
  readonly name: string;
  readonly bug: string;
  readonly store: 'sqlite' | 'postgres';
  readonly faults: string;
  /** The guarantees that see it; one is enough. */
  readonly caughtBy: readonly string[];
  readonly patch: string;
}

export interface Catch {
  readonly name: string;
  readonly caught: boolean;
  /** The guarantees that were violated. */
  readonly violated: readonly string[];
  readonly seed: number;
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
  return {
    name,
    bug: head('bug'),
    store,
    faults: head('faults'),
    caughtBy: head('caught by').split(' '),
    patch,
  };
}

/**
 * Builds the apps with the bug in a copy of the source, and runs the chaos against them. Nothing of it is in the product: the
 * mutation exists in the copy alone.
 */
export async function runPlanted(bug: PlantedBug, seed: number, out: string): Promise<Catch> {
  const startedAt = performance.now();
  const folder = join('tmp', 'planted', bug.name);
  const copy = join(ROOT, folder);
  rmSync(copy, { recursive: true, force: true });
  try {
    copySource(copy);
    const input = bug.patch;
    execFileSync('git', ['apply', '--directory', folder, '-'], {
      cwd: ROOT,
      input,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const env = { ...process.env, NX_DAEMON: 'false' };
    execFileSync(process.execPath, [NX, 'run-many', '-t', 'build', '-p', APPS, '--skip-nx-cache'], {
      cwd: copy,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: BUILD_TIMEOUT_MS,
    });
    const args = ['--profile', 'planted', '--store', bug.store, '--faults', bug.faults, '--seed', String(seed)];
    mkdirSync(out, { recursive: true });
    const child = spawn('npm', ['run', '-s', 'chaos', '--', ...args, '--out', out], {
      cwd: copy,
      env,
      stdio: 'ignore',
    });
    await once(child, 'exit');
    const violated = violatedIn(out);
    const caught = violated.some((guarantee) => bug.caughtBy.includes(guarantee));
    return { name: bug.name, caught, violated, seed, seconds: Math.round((performance.now() - startedAt) / 1_000) };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
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
