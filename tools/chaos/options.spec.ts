import { parseCommand, replayCommand, type SeededOptions } from './options';

const parsed = (line: string, drawSeed = () => 7) => parseCommand(line.split(' ').filter(Boolean), drawSeed);

describe('the command line of npm run chaos', () => {
  it.each<SeededOptions>([
    { profileName: 'pr', store: 'sqlite', seed: 0 },
    { profileName: 'nightly', store: 'postgres', seed: 123_456_789, faults: ['kill', 'late_write'] },
  ])('makes the run again that its last line names: %j', (options) => {
    const [command, line = ''] = replayCommand(options).split(' -- ');
    expect(command).toBe('npm run chaos');
    expect(parsed(line)).toEqual({ kind: 'run', ...options });
  });

  it('draws a seed where none is given, and names it', () => {
    const command = parsed('--store postgres');
    expect(command).toEqual({ kind: 'run', profileName: 'pr', store: 'postgres', seed: 7 });
    expect(replayCommand(command as SeededOptions)).toContain('--seed 7');
  });

  it('plants all bugs, or those that are named', () => {
    expect(parsed('--planted --quick')).toEqual({ kind: 'plant', names: 'all', seed: 1, quick: true });
    expect(parsed('--planted')).toEqual({ kind: 'plant', names: 'all', seed: 1, quick: false });
    expect(parsed('--planted a,b --seed 4')).toEqual({ kind: 'plant', names: 'a,b', seed: 4, quick: false });
  });

  it.each(['--store mysql', '--profile none', '--seed x', '--seed -1', '--faults kill,rain', '--rain', 'kill'])(
    'refuses %s',
    (line) => expect(parsed(line)).toMatchObject({ kind: 'usage' }),
  );
});
