import { setImmediate } from 'node:timers/promises';
import { type DrainPhase, DrainSequence } from './drain';
import { memoryLogger } from './testing';

const PHASES: DrainPhase[] = ['stopAccepting', 'stopClaiming', 'finishWork', 'closeSockets', 'closePools'];
const never = () => new Promise<void>(() => undefined);

function sequence(budgetMs = 10_000) {
  const { logger, lines } = memoryLogger();
  return { drain: new DrainSequence({ budgetMs, logger }), lines };
}

it('runs the phases in order, whatever the order of registration, each after the one before has ended', async () => {
  const { drain } = sequence();
  const seen: string[] = [];
  for (const phase of [...PHASES].reverse()) {
    drain.register(phase, phase, async () => {
      seen.push(`${phase} begins`);
      await setImmediate();
      seen.push(`${phase} ends`);
    });
  }
  await drain.runThrough('closePools');
  expect(seen).toEqual(PHASES.flatMap((phase) => [`${phase} begins`, `${phase} ends`]));
  expect(drain.clean).toBe(true);
});

it('runs the participants of a phase in parallel', async () => {
  const { drain } = sequence();
  let meet: () => void = () => undefined;
  const met = new Promise<void>((resolve) => (meet = resolve));
  drain.register('finishWork', 'waits for the other', () => met);
  drain.register('finishWork', 'comes second', () => meet());
  await drain.runThrough('closePools');
  expect(drain.clean).toBe(true);
});

it('stops at the phase asked for and does nothing twice', async () => {
  const { drain } = sequence();
  const seen: string[] = [];
  for (const phase of PHASES) drain.register(phase, phase, () => void seen.push(phase));
  expect(drain.draining).toBe(false);
  await Promise.all([drain.runThrough('finishWork'), drain.runThrough('stopClaiming')]);
  expect(drain.draining).toBe(true);
  expect(seen).toEqual(PHASES.slice(0, 3));
  // Two callers at once must not run two phases at once.
  await Promise.all([drain.runThrough('closePools'), drain.runThrough('closeSockets'), drain.runThrough('closePools')]);
  expect(seen).toEqual(PHASES);
});

it('logs a participant that fails and goes on with the others', async () => {
  const { drain, lines } = sequence();
  const seen: string[] = [];
  drain.register('stopClaiming', 'rejects', () => Promise.reject(new Error('no')));
  drain.register('stopClaiming', 'throws', () => {
    throw new Error('no');
  });
  drain.register('stopClaiming', 'works', () => void seen.push('works'));
  drain.register('closePools', 'pool', () => void seen.push('pool'));
  await drain.runThrough('closePools');
  expect(seen).toEqual(['works', 'pool']);
  expect(drain.clean).toBe(false);
  expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
    { participant: 'throws', phase: 'stopClaiming' },
    { participant: 'rejects', phase: 'stopClaiming' },
  ]);
});

it('leaves a hanging participant behind at its phase’s share of the budget, and still closes the pools', async () => {
  const { drain, lines } = sequence(200);
  const closed: number[] = [];
  const startedAt = performance.now();
  let toldToGiveUp = false;
  drain.register('finishWork', 'hangs', (signal) => {
    signal.addEventListener('abort', () => (toldToGiveUp = true));
    return never();
  });
  drain.register('closePools', 'pool', () => void closed.push(performance.now() - startedAt));
  await drain.runThrough('closePools');
  expect(toldToGiveUp).toBe(true);
  expect(closed).toHaveLength(1);
  expect(closed[0]).toBeGreaterThanOrEqual(155);
  expect(drain.clean).toBe(false);
  expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
    { participant: 'hangs', msg: 'drain participant left behind' },
  ]);
});

it('counts the budget from the start, not from the phase', async () => {
  const { logger } = memoryLogger();
  let now = 0;
  const drain = new DrainSequence({ budgetMs: 60_000, logger, now: () => now });
  drain.register('finishWork', 'hangs', never);
  drain.start();
  now = 50_000;
  // Its instant, 48 s, is past: if the clock began with the phase, this would outlast the test.
  await drain.runThrough('finishWork');
  expect(drain.clean).toBe(false);
});

it('says nothing more of one that gives up when told', async () => {
  const { drain, lines } = sequence(100);
  drain.register(
    'stopClaiming',
    'gives up',
    (signal) =>
      new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('gave up')))),
  );
  await drain.runThrough('closePools');
  await setImmediate();
  expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
});

it('refuses a participant whose phase has begun', async () => {
  const { drain } = sequence();
  await drain.runThrough('stopClaiming');
  expect(() => drain.register('stopAccepting', 'late', never)).toThrow('after it had begun');
  expect(() => drain.register('closePools', 'in time', () => undefined)).not.toThrow();
});
