import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { check, readRun, type Verdict } from './checker';
import { NEMESES } from './nemeses';
import { detectPlanted, plantedBugs, runPlanted, type Catch } from './planted';
import { PROFILES } from './profiles';
import { runChaos } from './run';
import { renderTimeline } from './timeline';

const EXIT = { clean: 0, violated: 1, inconclusive: 2, failed: 3, usage: 64 } as const;

const USAGE = `npm run chaos -- [--profile ${Object.keys(PROFILES).join('|')}] [--store sqlite|postgres] [--seed N] [--faults kill,pause,…] [--out FOLDER]
npm run chaos -- --check FOLDER     judges the files of an earlier run again

npm run chaos -- --planted [all|NAME,…] [--seed N] [--quick]
                                    plants a known bug each and says whether its tests see it, and a run with it (not with --quick)

Exits 0 only when the run was conclusive and clean, 1 with violations, 2 when it proves nothing, 3 when it could not be made.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: withDefault(process.argv.slice(2), '--planted', 'all'),
    options: {
      profile: { type: 'string', default: 'pr' },
      store: { type: 'string', default: 'sqlite' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      out: { type: 'string' },
      check: { type: 'string' },
      planted: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return EXIT.clean;
  }
  if (values.check !== undefined) return judge(resolve(values.check));
  if (values.planted !== undefined) return plant(values.planted, Number(values.seed ?? 1), values.quick);
  const { profile: profileName, store } = values;
  const profile = PROFILES[profileName];
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
  if (!profile || (store !== 'sqlite' && store !== 'postgres') || !Number.isSafeInteger(seed) || seed < 0) {
    console.error(USAGE);
    return EXIT.usage;
  }
  const faults = values.faults?.split(',');
  const unknown = (faults ?? []).filter((fault) => !NEMESES.some(({ name }) => name === fault));
  if (unknown.length > 0) {
    console.error(`no such fault: ${unknown.join(', ')}; there are ${NEMESES.map(({ name }) => name).join(', ')}`);
    return EXIT.usage;
  }
  const only = faults ? ` --faults ${faults.join(',')}` : '';
  const replay = `npm run chaos -- --profile ${profileName} --store ${store} --seed ${seed}${only}`;
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const folder = resolve(values.out ?? join('tmp', 'chaos', `${store}-${seed}-${stamp}`));
  mkdirSync(folder, { recursive: true });
  console.log(`${replay}\nfiles: ${folder}`);
  // Whatever hangs, the run ends: the processes it started are killed when this one exits.
  const watchdog = setTimeout(() => {
    console.error(`\nthe run did not end within ${profile.deadlineMs} ms\nreplay: ${replay}`);
    process.exit(EXIT.failed);
  }, profile.deadlineMs);
  await runChaos({
    seed,
    profileName,
    profile,
    store,
    folder,
    onProgress: showProgress,
    ...(faults ? { faults } : {}),
  });
  clearTimeout(watchdog);
  if (process.stdout.isTTY) process.stdout.write('\n');
  const code = judge(folder);
  console.log(`replay: ${replay}`);
  return code;
}

function judge(folder: string): number {
  const files = readRun(folder);
  const verdict = check(files);
  writeFileSync(join(folder, 'verdict.json'), JSON.stringify(verdict, undefined, 2));
  writeFileSync(join(folder, 'timeline.html'), renderTimeline(files, verdict));
  print(verdict);
  console.log(`timeline: ${join(folder, 'timeline.html')}`);
  return EXIT[verdict.outcome];
}

/** `name` may stand without a value, at the end or before the next option. */
function withDefault(args: readonly string[], name: string, value: string): string[] {
  return args.flatMap((arg, i) => (arg === name && (args[i + 1] ?? '--').startsWith('--') ? [arg, value] : [arg]));
}

/** 0 when each bug was caught. */
async function plant(names: string, seed: number, quick: boolean): Promise<number> {
  const bugs = plantedBugs().filter(({ name }) => names === 'all' || names.split(',').includes(name));
  if (bugs.length === 0) {
    const all = plantedBugs().map(({ name }) => name);
    console.error(`no such bug; there are ${all.join(', ')}`);
    return EXIT.usage;
  }
  let missed = 0;
  for (const bug of bugs) {
    const tests = await detectPlanted(bug, seed);
    console.log(`${bug.name}: ${told(tests)} in ${bug.detector.file}, ${tests.seconds} s`);
    if (!tests.caught) missed += 1;
    if (quick || bug.faults === undefined) continue;
    const run = await runPlanted(bug, seed, resolve('tmp', 'chaos', `planted-${bug.name}`));
    console.log(`${bug.name}: ${told(run)} in a run on ${bug.store}, seed ${seed}, ${run.seconds} s`);
    if (!run.caught) missed += 1;
  }
  console.log(missed === 0 ? `all ${bugs.length} caught` : `MISSED ${missed} times`);
  return missed === 0 ? EXIT.clean : EXIT.violated;
}

function told({ caught, by }: Catch): string {
  return caught ? `caught by ${by.join(', ')}` : `MISSED (${by.join(', ') || 'clean'})`;
}

const SHOWN = 20;

function print({ outcome, findings, violations, counters, missing }: Verdict): void {
  for (const { guarantee, violations: bad, checked, notes } of findings) {
    const figures = Object.entries(notes ?? {}).map(([name, value]) => `${name} ${value}`);
    console.log([`${guarantee.padEnd(4)} ${bad.length} / ${checked}`, ...figures].join('  '));
  }
  console.log(
    Object.entries(counters)
      .map(([name, value]) => `${name} ${value}`)
      .join(' · '),
  );
  for (const { guarantee, message } of violations.slice(0, SHOWN)) console.log(`${guarantee}: ${message}`);
  if (violations.length > SHOWN) console.log(`… and ${violations.length - SHOWN} more, in verdict.json`);
  console.log(outcome === 'inconclusive' ? `INCONCLUSIVE: no ${missing.join(', no ')}` : outcome.toUpperCase());
}

let shownAt = -Infinity;

/** One line that is written over; where nobody watches, a line every 10 s. */
function showProgress(line: string): void {
  if (process.stdout.isTTY) return void process.stdout.write(`\r\x1b[K${line.slice(0, process.stdout.columns - 1)}`);
  if (performance.now() - shownAt < 10_000) return;
  shownAt = performance.now();
  console.log(line);
}

// An orderly exit, at which the processes that were started are killed: a signal alone would leave them behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT.failed));

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const isUsage = String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS');
    console.error(isUsage ? USAGE : error);
    process.exit(isUsage ? EXIT.usage : EXIT.failed);
  },
);
