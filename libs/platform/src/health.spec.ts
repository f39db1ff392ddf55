import { HealthRegistry } from './health';

const ok = () => Promise.resolve();

it('is ready when every check passes, also when there is none', async () => {
  const health = new HealthRegistry();
  expect(await health.readiness()).toEqual({ status: 'ready', checks: [] });
  health.register({ name: 'database', check: ok, timeoutMs: 100 });
  expect(await health.readiness()).toEqual({
    status: 'ready',
    checks: [{ name: 'database', ok: true, latency_ms: expect.any(Number) as number }],
  });
});

it('says what is wrong without credentials, for errors, throws and other values', async () => {
  const health = new HealthRegistry();
  const failing = (name: string, check: () => Promise<void>) => health.register({ name, check, timeoutMs: 100 });
  failing('a', () => Promise.reject(new Error('connect postgres://u:hunter2@db/x refused')));
  failing('b', () => {
    throw new Error('thrown at once');
  });
  failing('c', () => Promise.reject('just text' as unknown as Error));
  failing('d', ok);
  const { status, checks } = await health.readiness();
  expect(status).toBe('not_ready');
  expect(checks.map(({ name, ok, error }) => [name, ok, error])).toEqual([
    ['a', false, 'connect postgres://u:[redacted]@db/x refused'],
    ['b', false, 'thrown at once'],
    ['c', false, 'just text'],
    ['d', true, undefined],
  ]);
});

it('stays ready and says what is degraded', async () => {
  const health = new HealthRegistry();
  const note = 'redis://u:hunter2@cache cannot be reached';
  health.register({ name: 'backplane', check: () => Promise.resolve(note), timeoutMs: 100 });
  expect(await health.readiness()).toMatchObject({
    status: 'ready',
    checks: [{ name: 'backplane', ok: true, degraded: 'redis://u:[redacted]@cache cannot be reached' }],
  });
});

it('runs checks in parallel, each under its own timeout, and never a hanging one twice', async () => {
  const health = new HealthRegistry();
  let started = 0;
  let aborted = false;
  const hang = (signal: AbortSignal) => {
    started += 1;
    signal.addEventListener('abort', () => (aborted = true));
    return new Promise<void>(() => undefined);
  };
  health.register({ name: 'hangs', check: hang, timeoutMs: 20 });
  // Passes only if the other, still hanging one has been started beside it.
  health.register({ name: 'beside', check: async () => expect(started).toBe(1), timeoutMs: 1000 });
  for (let probe = 0; probe < 2; probe += 1) {
    const { status, checks } = await health.readiness();
    expect(status).toBe('not_ready');
    expect(checks[0]).toMatchObject({ ok: false, error: 'no answer within 20 ms' });
    expect(checks[1]).toMatchObject({ ok: true });
  }
  expect(started).toBe(1);
  expect(aborted).toBe(true);
});

it('recovers when the check does', async () => {
  const health = new HealthRegistry();
  let up = false;
  const check = () => (up ? ok() : Promise.reject(new Error('down')));
  health.register({ name: 'database', check, timeoutMs: 100 });
  expect((await health.readiness()).status).toBe('not_ready');
  up = true;
  expect((await health.readiness()).status).toBe('ready');
});

it('is not ready while draining, also when the drain begins during the checks', async () => {
  const health = new HealthRegistry();
  health.register({ name: 'slow', check: async () => health.markDraining(), timeoutMs: 100 });
  const { status, checks } = await health.readiness();
  expect(status).toBe('not_ready');
  expect(checks.at(-1)).toMatchObject({ name: 'draining', ok: false });
});

it('says at once that it is draining, whatever its checks wait for', async () => {
  const health = new HealthRegistry();
  let asked = false;
  health.register({ name: 'stuck', check: () => new Promise<void>(() => (asked = true)), timeoutMs: 5_000 });
  health.markDraining();
  expect(await health.readiness()).toMatchObject({ status: 'not_ready', checks: [{ name: 'draining' }] });
  expect(asked).toBe(false);
});

it('refuses a second check of one name', () => {
  const health = new HealthRegistry();
  health.register({ name: 'x', check: ok, timeoutMs: 1 });
  expect(() => health.register({ name: 'x', check: ok, timeoutMs: 1 })).toThrow('already registered');
});
