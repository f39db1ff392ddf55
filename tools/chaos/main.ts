import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { check, readRun, type Verdict } from './checker';
import { parseCommand, replayCommand, type Command, type SeededOptions } from './options';
import { detectPlanted, plantedBugs, runPlanted, type Catch } from './planted';
import { PROFILES, type Profile } from './profiles';
import { Progress } from './progress';
import { runChaos } from './run';
import { renderTimeline } from './timeline';

const EXIT = { clean: 0, violated: 1, inconclusive: 2, failed: 3, usage: 64 } as const;

const USAGE = `npm run chaos -- [--profile ${Object.keys(PROFILES).join('|')}] [--store sqlite|postgres] [--seed N] [--faults kill,pause,…] [--out FOLDER]
npm run chaos -- --check FOLDER     judges the files of an earlier run again

npm run chaos -- --planted [all|NAME,…] [--seed N] [--quick]
                                    plants a known bug each and says whether its tests see it, and a run with it (not with --quick)

Exits 0 only when the run was conclusive and clean, 1 with violations, 2 when it proves nothing, 3 when it could not be made.`;

async function main(): Promise<number> {
  const command = parseCommand(process.argv.slice(2), () => Math.floor(Math.random() * 1e9));
  switch (command.kind) {
    case 'help':
      console.log(USAGE);
      return EXIT.clean;
    case 'usage':
      console.error(command.why ?? USAGE);
      return EXIT.usage;
    case 'check':
      return judge(resolve(command.folder));
    case 'plant':
      return plant(command);
    case 'run':
      return run(command);
  }
}

async function run(options: SeededOptions & { readonly out?: string }): Promise<number> {
  const { profileName, store, seed, out } = options;
  const profile = PROFILES[profileName] as Profile;
  const replay = replayCommand(options);
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const folder = resolve(out ?? join('tmp', 'chaos', `${store}-${seed}-${stamp}`));
  mkdirSync(folder, { recursive: true });
  console.log(`${replay}\nfiles: ${folder}`);
  // Whatever hangs, the run ends: the processes it started are killed when this one exits.
  const watchdog = setTimeout(() => {
    console.error(`\nthe run did not end within ${profile.deadlineMs} ms\nreplay: ${replay}`);
    process.exit(EXIT.failed);
  }, profile.deadlineMs);
  const progress = new Progress(process.stdout, () => performance.now());
  await runChaos({ ...options, profile, folder, onProgress: (line) => progress.show(line) });
  clearTimeout(watchdog);
  progress.end();
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
async function plant({ names, seed, quick }: Command & { kind: 'plant' }): Promise<number> {
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

// An orderly exit, at which the processes that were started are killed: a signal alone would leave them behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT.failed));

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(EXIT.failed);
  },
);
