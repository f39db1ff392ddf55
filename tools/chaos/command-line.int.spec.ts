import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FILES } from './checker';
import { HandMadeRun } from './testing-run';

const ROOT = join(__dirname, '..', '..');

function chaos(...args: string[]) {
  const command = ['-r', './tools/chaos/register.cjs', 'tools/chaos/main.ts', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: ROOT, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('npm run chaos', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tyrum-chaos-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function write(run: HandMadeRun): void {
    const { facts, effects, final } = run.files();
    const lines = (values: readonly object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');
    writeFileSync(join(folder, FILES.history), lines(facts));
    writeFileSync(join(folder, FILES.effects), lines(effects));
    writeFileSync(join(folder, FILES.final), JSON.stringify(final));
  }

  const quiet = () => new HandMadeRun().done('a').fact({ kind: 'rest', problems: [] }).delivered('s');
  const conclusive = () => {
    const run = quiet().request('l', { status: 0 }).request('l', { replayed: true }).turn('l');
    run.effect('begin', 'l').effect('end', 'l').delivered('s');
    run.final = { takeovers: [{ conversation: 'c', token: 2, owner: 'w2', takenFrom: 'w1', at: 5 }] };
    return run.fact({ kind: 'log', instance: 'w1', message: 'write fenced' });
  };

  it.each([
    [0, 'CLEAN', conclusive],
    [
      1,
      'G1: a: answered 202 with turn turn-other, which is lost',
      () => conclusive().request('a', { turn: 'turn-other' }),
    ],
    [2, 'INCONCLUSIVE: no takeovers, no fencedWrites, no replays, no unknownCommits', quiet],
  ])('--check exits %d and says "%s"', (status, said, run) => {
    write(run());
    const answer = chaos('--check', folder);
    expect(answer.stdout).toContain(said);
    expect(answer.status).toBe(status);
    const html = readFileSync(join(folder, 'timeline.html'), 'utf8');
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).not.toMatch(/(?:src|href)=/);
  });

  it.each([
    ['--store', 'mysql'],
    ['--profile', 'none'],
    ['--seed', 'x'],
    ['--faults', 'kill,rain'],
    ['--planted', 'none'],
    ['--planted', '--quick', 'too much'],
  ])('exits 64 for %s %s', (...args) => {
    expect(chaos(...args)).toMatchObject({ status: 64, stdout: '' });
  });
});
