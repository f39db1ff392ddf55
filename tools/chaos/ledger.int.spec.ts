import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@tyrum/test-services';
import { HistoryWriter, parseLines, type Fact } from './history';
import { EFFECT_SCRIPT, effectAction, opOf, type CrashPoint, type EffectLine } from './ledger';

describe('the effect ledger', () => {
  let folder: string;
  let ledger: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tyrum-ledger-'));
    ledger = join(folder, 'effects.jsonl');
    writeFileSync(ledger, '');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const env = { ...process.env, TYRUM_TURN_ID: 't', TYRUM_IDEMPOTENCY_KEY: 'k', TYRUM_FENCING_TOKEN: '7' };
  const commandOf = (op: string, { pauseMs = 0, crash = 'none' as CrashPoint } = {}) => {
    const step = { effect: 'once', pauseMs, crash } as const;
    const { args } = effectAction(ledger, { name: op, conversation: 'c' }, 1, step);
    return args as { cmd: string; args: string[] };
  };
  const lines = () => parseLines<EffectLine>(readFileSync(ledger, 'utf8'));

  it('holds a line before and a line after each effect, with what the ToolRunner said of it', () => {
    const { cmd, args } = commandOf('op');
    expect(spawnSync(cmd, args, { env }).status).toBe(0);
    const about = { op: 'op', step: 1, effect: 'once', conversation: 'c', turn: 't', key: 'k', token: 7 };
    expect(lines()).toEqual([
      expect.objectContaining({ ...about, mark: 'begin' }),
      expect.objectContaining({ ...about, mark: 'end' }),
    ]);
    const [begin, end] = lines();
    expect(begin?.run).toBe(end?.run);
    expect(Math.abs((end?.at ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('loses and mixes up no line of many processes at once', async () => {
    const names = Array.from({ length: 24 }, (_, i) => `op-${i}`);
    await Promise.all(
      names.map(async (op) => {
        const { cmd, args } = commandOf(op);
        await once(spawn(cmd, args, { env, stdio: 'ignore' }), 'exit');
      }),
    );
    expect(lines()).toHaveLength(2 * names.length);
    for (const op of names)
      expect(
        lines()
          .filter((line) => line.op === op)
          .map(({ mark }) => mark),
      ).toEqual(['begin', 'end']);
  });

  it('keeps what was written when the command is killed', async () => {
    const { cmd, args } = commandOf('op', { pauseMs: 60_000 });
    const child = spawn(cmd, args, { env, stdio: 'ignore', detached: true });
    await eventually(() => expect(lines()).toHaveLength(1));
    process.kill(-(child.pid as number), 'SIGKILL');
    await once(child, 'exit');
    expect(lines().map(({ mark }) => mark)).toEqual(['begin']);
  });

  it('asks for each line to be on disk before the next command runs', () => {
    const script = readFileSync(EFFECT_SCRIPT, 'utf8');
    expect(script).toMatch(/\boflag=append\b.*\bconv=notrunc,fsync\b/);
  });

  // The worker's place is taken by a shell that starts a shell that starts the step, as a worker has a ToolRunner.
  it.each([
    ['before', ['crash-before']],
    ['in', ['begin', 'crash-in']],
    ['after', ['begin', 'end', 'crash-after']],
  ] as const)('crash point "%s" kills the worker, once', async (crash, marks) => {
    const { cmd, args } = commandOf('op', { crash });
    const words = [cmd, ...args].map((word) => `'${word}'`).join(' ');
    const start = async () => {
      const runner = `${words} & echo $! > ${folder}/pid; wait`;
      const worker = spawn('sh', ['-c', `sh -c "${runner.replaceAll('$', '\\$')}"; exit 3`], { env, stdio: 'ignore' });
      return (await once(worker, 'exit')) as [number | null, NodeJS.Signals | null];
    };
    expect(await start()).toEqual([null, 'SIGKILL']);
    process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 'SIGKILL');
    expect(lines().map(({ mark }) => mark)).toEqual(marks);
    expect(await start()).toEqual([3, null]);
    expect(
      lines()
        .slice(marks.length)
        .map(({ mark }) => mark),
    ).toEqual(['begin', 'end']);
  });

  it('names its op in the turn’s input', () => {
    const step = { effect: 'read', pauseMs: 0, crash: 'none' } as const;
    const steps = [effectAction(ledger, { name: 'op-3-4', conversation: 'c' }, 0, step)];
    expect(opOf(JSON.stringify({ steps }))).toBe('op-3-4');
  });
});

describe('the history', () => {
  it('is read back as it was written, without a last line that was cut short', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tyrum-history-'));
    const path = join(folder, 'history.jsonl');
    const writer = new HistoryWriter(path);
    writer.write({ kind: 'gap', subscriber: 's' }, 5);
    writer.write({ kind: 'rest', problems: ['x'] }, 6);
    writer.close();
    const text = readFileSync(path, 'utf8');
    rmSync(folder, { recursive: true });
    const facts = [
      { at: 5, kind: 'gap', subscriber: 's' },
      { at: 6, kind: 'rest', problems: ['x'] },
    ];
    expect(parseLines<Fact>(text)).toEqual(facts);
    expect(parseLines<Fact>(`${text}{"at":7,"ki`)).toEqual(facts);
    expect(() => parseLines<Fact>(`{"at":7,"ki\n${text}`)).toThrow(SyntaxError);
  });
});
