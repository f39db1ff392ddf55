import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { check, readRun, type Verdict } from './checker';
import { NEMESES } from './nemeses';
import { plantedBugs, runPlanted } from './planted';
import { PROFILES } from './profiles';
import { runChaos } from './run';
import { renderTimeline } from './timeline';

const EXIT = { clean: 0, violated: 1, inconclusive: 2, failed: 3, usage: 64 } as const;

const USAGE = `npm run chaos -- [--profile ${Object.keys(PROFILES).join('|')}] [--store sqlite|postgres] [--seed N] [--faults kill,pause,…] [--out FOLDER]
npm run chaos -- --check FOLDER     judges the files of an earlier run again

npm run chaos -- --planted all|NAME,…   [--seed N]   builds the apps with a known bug each and says whether it is caught

Exits 0 only when the run was conclusive and clean, 1 with violations, 2 when it proves nothing, 3 when it could not be made.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      profile: { type: 'string', default: 'pr' },
      store: { type: 'string', default: 'sqlite' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      out: { type: 'string' },
      check: { type: 'string' },
      planted: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return EXIT.clean;
  }
  if (values.check !== undefined) return judge(resolve(values.check));
  if (values.planted !== undefined) return plant(values.planted, Number(values.seed ?? 1));
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

/** 0 when each bug was caught. */
async function plant(names: string, seed: number): Promise<number> {
  const bugs = plantedBugs().filter(({ name }) => names === 'all' || names.split(',').includes(name));
  if (bugs.length === 0) {
    console.error(
      `no such bug; there are ${plantedBugs()
        .map(({ name }) => name)
        .join(', ')}`,
    );
    return EXIT.usage;
  }
  let caught = 0;
  for (const bug of bugs) {
    const result = await runPlanted(bug, seed, resolve('tmp', 'chaos', `planted-${bug.name}`));
    caught += result.caught ? 1 : 0;
    const how = result.caught
      ? `caught by ${result.violated.join(' ')}`
      : `MISSED (${result.violated.join(' ') || 'clean'})`;
    console.log(`${bug.name}: ${how}, seed ${seed}, ${result.seconds} s`);
  }
  console.log(`${caught} of ${bugs.length} caught`);
  return caught === bugs.length ? EXIT.clean : EXIT.violated;
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
    console.error(error);
    process.exit(EXIT.failed);
  },
);
