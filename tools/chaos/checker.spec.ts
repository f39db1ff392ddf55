import { check, type Verdict } from './checker';
import { HandMadeRun } from './testing-run';

/** A run in which all that has to happen did, and nothing bad. */
function goodRun(): HandMadeRun {
  const run = new HandMadeRun();
  run.done('a').done('b');
  run.request('a', { replayed: true }).request('l', { status: 0 }).request('l', { replayed: true });
  run.turn('l').effect('begin', 'l').effect('end', 'l');
  run.final = { takeovers: [takeover({ at: 1_400 })] };
  run.fact({ kind: 'log', instance: 'worker-1.1', message: 'write fenced' });
  run.fact({ kind: 'rest', problems: [] });
  return run.delivered('s');
}

const takeover = (options: Partial<{ at: number; token: number; takenFrom: string }> = {}) => ({
  conversation: 'c',
  token: 2,
  owner: 'worker-2.1',
  takenFrom: 'worker-1.1',
  at: 1_000,
  ...options,
});

const verdictOf = (run: HandMadeRun): Verdict => check(run.files());
const broken = (run: HandMadeRun) => [...new Set(verdictOf(run).violations.map(({ guarantee }) => guarantee))];
const said = (run: HandMadeRun) => verdictOf(run).violations.map(({ message }) => message);

/** Nothing but what a test puts in: no counter is reached, and nothing is wrong. */
const quiet = (run = new HandMadeRun()) => run.fact({ kind: 'rest', problems: [] });

describe('a verdict', () => {
  it('is clean when nothing is wrong and everything happened', () => {
    expect(verdictOf(goodRun())).toMatchObject({ outcome: 'clean', violations: [], missing: [] });
  });

  it('has looked at something under every guarantee that this run can break', () => {
    const idle = verdictOf(goodRun()).findings.filter(({ checked }) => checked === 0);
    // There is no schedule and no Redis in it.
    expect(idle.map(({ guarantee }) => guarantee)).toEqual(['G9', 'G12']);
  });

  it('is the same for the same files', () => {
    const files = goodRun().files();
    expect(JSON.stringify(check(files))).toBe(JSON.stringify(check(files)));
  });

  it.each([
    ['takeovers', (run: HandMadeRun) => (run.final = { takeovers: [] })],
    ['fencedWrites', (run: HandMadeRun) => remove(run, (fact) => fact.kind === 'log')],
    ['unknownCommits', (run: HandMadeRun) => run.request('l')],
  ])('is inconclusive without %s', (name, take) => {
    const run = goodRun();
    take(run);
    expect(verdictOf(run)).toMatchObject({ outcome: 'inconclusive', missing: [name] });
  });

  it('is inconclusive without replays, and then without lost answers', () => {
    const run = goodRun();
    remove(run, (fact) => fact.kind === 'answer' && fact.replayed === true);
    expect(verdictOf(run)).toMatchObject({ outcome: 'inconclusive', missing: ['replays', 'unknownCommits'] });
  });

  it('counts cut commits on Postgres, and not lost answers', () => {
    const run = quiet(new HandMadeRun('postgres'));
    run.done('a').request('b', { replayed: true }).fact({ kind: 'commit_cut', slot: 'worker-1' });
    expect(verdictOf(run).counters.unknownCommits).toBe(1);
  });
});

function remove(run: HandMadeRun, which: (fact: HandMadeRun['facts'][number]) => boolean): void {
  run.facts.splice(0, run.facts.length, ...run.facts.filter((fact) => !which(fact)));
}

describe('G1', () => {
  it('an acknowledged turn that is gone', () => {
    expect(broken(quiet().request('a'))).toEqual(['G1']);
  });
  it('a turn that never ended', () => {
    const run = quiet().request('a').turn('a', { status: 'running' });
    expect(said(run.delivered('s'))).toEqual([
      'turn turn-a (a) is running for ever',
      'turn turn-a (a) ended 0 times by its events',
    ]);
  });
  it('a turn that ended twice', () => {
    expect(broken(quiet().done('a').event('turn.completed', 'turn-a').delivered('s'))).toEqual(['G1']);
  });
  it('a turn that started twice', () => {
    const run = quiet().done('a').event('turn.started', 'turn-a').event('turn.started', 'turn-a');
    expect(broken(run.delivered('s'))).toEqual(['G1']);
  });
  it('a success without its effect, unless an operator took it for done', () => {
    const run = quiet().request('a').turn('a').delivered('s');
    expect(broken(run)).toEqual(['G1']);
    expect(broken(run.fact({ kind: 'resolve', turn: 'turn-a', decision: 'done' }))).toEqual([]);
  });
  it('a failure of our own, but not one of a step', () => {
    const failed = (error: string) => quiet().request('a').turn('a', { status: 'failed', error }).delivered('s');
    expect(broken(failed('internal'))).toEqual(['G1']);
    expect(broken(failed('exit_code'))).toEqual([]);
  });
});

describe('G2', () => {
  const two = () => quiet().request('a').turn('a').request('b').turn('b');
  it('one execution that begins inside another', () => {
    const run = two().effect('begin', 'a').effect('begin', 'b').effect('end', 'b').effect('end', 'a').delivered('s');
    expect(new Set(broken(run))).toEqual(new Set(['G2']));
  });
  it('one that goes on after its successor began', () => {
    const run = two().effect('begin', 'a', { effect: 'idempotent' });
    run.effect('begin', 'a', { effect: 'idempotent', token: 2, run: 'later' });
    run.effect('end', 'a', { effect: 'idempotent', token: 2 }).effect('end', 'a', { token: 2, run: 'later' });
    run.effect('begin', 'b', { token: 2 }).effect('end', 'b', { token: 2 });
    expect(broken(run.delivered('s'))).toContain('G2');
  });
  it('not one that was killed, and not another conversation', () => {
    const run = two().effect('begin', 'a', { effect: 'idempotent' });
    run.effect('begin', 'b', { conversation: 'd' }).effect('end', 'b', { conversation: 'd' });
    run.effect('begin', 'a', { effect: 'idempotent', token: 2, run: 'again' });
    run.effect('end', 'a', { effect: 'idempotent', token: 2, run: 'again' });
    expect(broken(run.delivered('s'))).toEqual([]);
  });
  it('not the turn after one that was cancelled', () => {
    const run = quiet().request('a').turn('a', { status: 'cancelled' }).event('turn.cancelled', 'turn-a');
    run.request('b').turn('b').effect('begin', 'a').effect('begin', 'b').effect('end', 'b');
    expect(broken(run.delivered('s'))).toEqual([]);
  });
});

describe('G3', () => {
  it('an effect under a token below the highest', () => {
    const run = quiet().done('a').request('b').turn('b');
    run.effect('begin', 'b', { token: 3 }).effect('end', 'b', { token: 3 });
    run.request('d').turn('d').effect('begin', 'd', { token: 2 }).effect('end', 'd', { token: 2 });
    expect(broken(run.delivered('s'))).toEqual(['G3']);
  });
  it('a settled step that was set back, but not in a turn that was given up', () => {
    const steps = [{ step: 0, effect: 'once', status: 'running' }];
    const ended = (status: string) => {
      const run = quiet().request('a').turn('a', { status, steps });
      return run.effect('begin', 'a').effect('end', 'a');
    };
    expect(broken(ended('succeeded').delivered('s'))).toEqual(['G3']);
    expect(broken(ended('cancelled').event('turn.cancelled', 'turn-a').delivered('s'))).toEqual(['G3']);
    expect(broken(ended('failed').delivered('s'))).toEqual([]);
  });
  it('a token taken over twice', () => {
    const run = quiet();
    run.final = { takeovers: [takeover(), takeover({ takenFrom: 'worker-3.1' })] };
    expect(broken(run)).toEqual(['G3']);
  });
});

describe('G4', () => {
  const twice = () => {
    const run = quiet().request('a').turn('a').effect('begin', 'a');
    return run.effect('begin', 'a', { run: 'again' }).effect('end', 'a', { run: 'again' }).delivered('s');
  };
  it('a step of class once that ran twice, unless an operator said so', () => {
    expect(broken(twice())).toEqual(['G4']);
    expect(broken(twice().fact({ kind: 'resolve', turn: 'turn-a', decision: 'retry' }))).toEqual([]);
  });
  it('a cut-off step whose turn succeeded without a question', () => {
    expect(broken(quiet().request('a').turn('a', { steps: [] }).effect('begin', 'a').delivered('s'))).toEqual(['G4']);
  });
  it('another key at the second attempt', () => {
    const run = quiet().request('a').turn('a').effect('begin', 'a', { effect: 'idempotent' });
    run.effect('begin', 'a', { effect: 'idempotent', key: 'other', run: 'again' });
    run.effect('end', 'a', { effect: 'idempotent', key: 'other', run: 'again' });
    expect(broken(run.delivered('s'))).toEqual(['G4']);
  });
  it('one key for two steps', () => {
    const run = quiet().done('a').request('b').turn('b');
    run.effect('begin', 'b', { key: 'key-a-0' }).effect('end', 'b', { key: 'key-a-0' });
    expect(broken(run.delivered('s'))).toEqual(['G4']);
  });
});

describe('G5', () => {
  it('two turns of one key', () => {
    const run = quiet().done('a').turn('a', { turn: 'turn-other', steps: [] }).delivered('s');
    expect(broken(run)).toEqual(['G5']);
  });
  it('two answers under one key', () => {
    const run = quiet()
      .done('a')
      .turn('b', { op: 'x', steps: [] })
      .request('a', { turn: 'turn-b' })
      .request('x', { turn: 'turn-b' });
    expect(broken(run.delivered('s'))).toEqual(['G5']);
  });
  it('another payload that was accepted, or one’s own that was refused', () => {
    expect(broken(quiet().done('a').request('a', {}, 'changed').delivered('s'))).toEqual(['G5']);
    expect(broken(quiet().done('a').request('a', { status: 422 }).delivered('s'))).toEqual(['G5']);
    expect(broken(quiet().done('a').request('a', { status: 422 }, 'changed').delivered('s'))).toEqual([]);
  });
  it('a turn nobody sent', () => {
    expect(broken(quiet().turn('a', { steps: [] }).delivered('s'))).toEqual(['G5']);
  });
});

describe('G6', () => {
  it.each([
    ['a gap in the numbers', [1, 3]],
    ['a number given twice', [1, 1]],
    ['numbers out of order', [2, 1]],
  ])('%s', (_, numbers) => {
    const run = quiet();
    for (const seq of numbers) run.event('x', null, 'c', seq);
    expect(broken(run.delivered('s', ['event-1', 'event-2']))).toContain('G6');
  });
  it('a delivery out of order, but not one that is repeated', () => {
    const run = () => quiet().event('x').event('x').event('x');
    expect(broken(run().delivered('s', ['event-1', 'event-3', 'event-2']))).toEqual(['G6']);
    expect(broken(run().delivered('s', ['event-1', 'event-2', 'event-1', 'event-2', 'event-3']))).toEqual([]);
  });
});

describe('G7', () => {
  const run = () => quiet().event('x').event('x').event('x');
  it('an event that one subscriber never got', () => {
    expect(broken(run().delivered('s').delivered('t', ['event-1', 'event-3']))).toEqual(['G7']);
  });
  it('an event that was never committed', () => {
    expect(broken(run().delivered('s', ['event-1', 'event-2', 'event-3', 'phantom']))).toEqual(['G7']);
  });
  it('nobody got anything', () => {
    expect(broken(run())).toEqual(['G7']);
  });
  it('not what came before the subscriber, and not after it was told of a gap', () => {
    expect(broken(run().delivered('s', ['event-2', 'event-3']))).toEqual([]);
    expect(broken(run().delivered('s', ['event-1', 'event-3']).fact({ kind: 'gap', subscriber: 's' }))).toEqual([]);
  });
});

describe('G9', () => {
  const schedule = {
    kind: 'schedule',
    schedule: 's',
    conversation: 't',
    intervalMs: 10,
    firstAt: 100,
    untilAt: 120,
  } as const;
  const fired = (instants: readonly number[], turns = instants.map((_, i) => `turn-f${i}`)) => {
    const run = quiet().fact(schedule);
    const op = { conversation: 't', trigger: 'schedule', steps: [] };
    turns.forEach((turn) => run.turn(turn.slice('turn-'.length), op));
    run.final = { firings: instants.map((instant, i) => ({ schedule: 's', instant, turn: `turn-f${i}` })) };
    return run.delivered('s');
  };
  it('holds when each instant went off once', () => {
    expect(broken(fired([100, 110, 120, 130]))).toEqual([]);
  });
  it.each([
    ['an instant that did not go off', fired([100, 120])],
    ['an instant that went off twice', fired([100, 110, 110, 120])],
    ['a time that is no instant', fired([100, 110, 115, 120])],
    ['a firing without its turn', fired([100, 110, 120], ['turn-f0', 'turn-f1'])],
    ['a turn without a firing', fired([100, 110, 120], ['turn-f0', 'turn-f1', 'turn-f2', 'turn-f3'])],
  ])('%s', (_, run) => {
    expect(broken(run)).toEqual(['G9']);
  });
});

describe('G10', () => {
  const lease = (dueAt: number) =>
    ({ kind: 'lease', conversation: 'c', owner: 'worker-1.1', token: 1, dueAt }) as const;
  const died = {
    kind: 'process',
    slot: 'worker-1',
    instance: 'worker-1.1',
    roles: ['worker'],
    pid: 1,
    state: 'exited',
    signal: 'SIGKILL',
  } as const;
  it('a takeover before the lease ran out', () => {
    const run = quiet().fact(lease(900)).fact(lease(1_001));
    run.final = { takeovers: [takeover({ at: 1_000 })] };
    expect(said(run)).toEqual(['c: worker-2.1 took token 1 from worker-1.1 1 ms before it ran out']);
    run.final = { takeovers: [takeover({ at: 1_001 })] };
    expect(said(run)).toEqual([]);
  });
  const survivor = {
    kind: 'process',
    slot: 'all-1',
    instance: 'all-1.1',
    roles: ['edge', 'worker'],
    pid: 2,
    state: 'started',
  } as const;
  it('a takeover that took too long', () => {
    const run = quiet().fact(survivor, 50).fact(died, 100);
    run.final = { takeovers: [takeover({ at: 1_700 })] };
    expect(broken(run)).toEqual(['G10']);
    run.final = { takeovers: [takeover({ at: 1_600 })] };
    expect(broken(run)).toEqual([]);
  });
  it.each([
    ['not there yet', 'started', 200],
    ['gone as well', 'exited', 200],
  ] as const)('not when the other worker was %s', (_, state, at) => {
    const run = quiet()
      .fact(died, 100)
      .fact({ ...survivor, state }, at);
    if (state === 'exited') run.fact(survivor, 50);
    run.final = { takeovers: [takeover({ at: 2_700 })] };
    expect(broken(run)).toEqual([]);
  });
  it('not when the other process runs no turns', () => {
    const run = quiet()
      .fact({ ...survivor, roles: ['edge'] }, 50)
      .fact(died, 100);
    run.final = { takeovers: [takeover({ at: 2_700 })] };
    expect(broken(run)).toEqual([]);
  });
  it('not while the database was away as well', () => {
    const run = quiet().fact(survivor, 50).fact(died, 100);
    run.fact({ kind: 'fault', id: 1, name: 'postgres_restart', target: 'postgres', state: 'begin' }, 200);
    run.fact({ kind: 'fault', id: 1, name: 'postgres_restart', target: 'postgres', state: 'end' }, 1_500);
    run.final = { takeovers: [takeover({ at: 2_700 })] };
    expect(broken(run)).toEqual([]);
  });
});

describe('G12', () => {
  const outage = (startedAt: number, backplane = 'redis') => {
    const run = quiet(new HandMadeRun('postgres', backplane)).done('a');
    run.turns.splice(0, 1, { ...run.turns[0]!, createdAt: 10_000, startedAt });
    run.fact({ kind: 'fault', id: 1, name: 'redis_kill', target: 'redis', state: 'begin' }, 9_000);
    run.fact({ kind: 'fault', id: 1, name: 'redis_kill', target: 'redis', state: 'end' }, 15_000);
    return run.delivered('s');
  };
  it('a turn that waited longer than a poll without Redis', () => {
    expect(broken(outage(13_001))).toEqual(['G12']);
    expect(broken(outage(13_000))).toEqual([]);
  });
  it('not a turn that waited for the one before it', () => {
    const run = outage(14_000);
    run.turn('b', { createdAt: 9_500, finishedAt: 13_500, steps: [] }).request('b').delivered('s');
    expect(broken(run)).toEqual([]);
  });
  it('says nothing where there is no Redis', () => {
    expect(broken(outage(14_000, 'postgres'))).toEqual([]);
  });
});

describe('G13', () => {
  it('a file that is not whole', () => {
    const run = quiet();
    run.final = { integrity: 'row 3 missing from index' };
    expect(broken(run)).toEqual(['G13']);
  });
  it('a busy file that somebody got to hear of', () => {
    const detail = 'settle: Error: SQLITE_BUSY: database is locked';
    expect(broken(quiet().fact({ kind: 'log', instance: 'w', message: 'worker trouble', detail }))).toEqual(['G13']);
    expect(broken(quiet().request('a', { status: 503, text: 'the SQLite file is locked' }))).toEqual(['G13']);
  });
});

describe('G21', () => {
  it('something that did not come to rest', () => {
    expect(said(new HandMadeRun().fact({ kind: 'rest', problems: ['c is leased'] }))).toEqual(['c is leased']);
  });
  it('nobody looked', () => {
    expect(broken(new HandMadeRun())).toEqual(['G21']);
  });
});
