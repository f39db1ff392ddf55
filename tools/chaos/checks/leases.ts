import { Findings, factsOf, faultsOf, groupBy, percentile, runOf, type Finding, type RunFiles } from './run-files';

/** Under these a surviving worker can take over at once: they touch neither the database nor more than one process. */
const HARMLESS = new Set([
  'kill',
  'kill_edge',
  'kill_scheduler',
  'redis_kill',
  'redis_flush',
  'clock_jump',
  'client_cut',
]);

/**
 * G10: a lease is taken over after it has run out, and not much later. "After" is checked against the database's own rows,
 * sampled all along: a token that was seen with an expiry after the takeover was still somebody's.
 */
export function checkTakeovers(files: RunFiles): Finding {
  const found = new Findings('G10');
  const { ttlMs, graceMs } = runOf(files);
  const samples = groupBy(factsOf(files, 'lease'), ({ conversation, token }) => `${conversation}/${token}`);
  for (const { conversation, token, owner, takenFrom, at } of files.final.takeovers) {
    const dueAt = Math.max(0, ...(samples.get(`${conversation}/${token - 1}`) ?? []).map((sample) => sample.dueAt));
    found.expect(
      at >= dueAt,
      () => `${conversation}: ${owner} took token ${token - 1} from ${takenFrom} ${dueAt - at} ms before it ran out`,
      at,
    );
  }
  const latencies = deathsOf(files).flatMap(({ instance, at: diedAt }) => {
    const taken = files.final.takeovers.filter(({ takenFrom, at }) => takenFrom === instance && at >= diedAt);
    return taken.filter(({ at }) => isUndisturbed(files, diedAt, at)).map(({ at }) => at - diedAt);
  });
  const limitMs = 1.5 * ttlMs + graceMs;
  const p99 = percentile(latencies, 0.99);
  if (latencies.length > 0)
    found.expect(p99 <= limitMs, () => `takeovers took ${p99} ms (p99), more than ${limitMs} ms`);
  return found.done({ takeovers: files.final.takeovers.length, timed: latencies.length, p99_ms: p99 });
}

/** Workers that died without a chance to let their leases go. */
function deathsOf(files: RunFiles): { instance: string; at: number }[] {
  return factsOf(files, 'process').filter(({ state, signal }) => state === 'exited' && signal === 'SIGKILL');
}

/** Whether somebody was there all the time who could take over, and nothing else was wrong. */
function isUndisturbed(files: RunFiles, from: number, to: number): boolean {
  const workers = groupBy(
    factsOf(files, 'process').filter(({ roles }) => roles.includes('worker')),
    ({ instance }) => instance,
  );
  const hasSurvivor = [...workers.values()].some(
    (facts) =>
      facts.some(({ state, at }) => state === 'started' && at <= from) &&
      !facts.some(({ state, at }) => state === 'exited' && at <= to),
  );
  return (
    hasSurvivor &&
    faultsOf(files).every(({ name, beginAt, endAt }) => HARMLESS.has(name) || endAt < from || beginAt > to)
  );
}

/** G9: every instant of a schedule goes off once, whoever looks and whatever their clocks say. */
export function checkFirings(files: RunFiles): Finding {
  const found = new Findings('G9');
  const firings = groupBy(files.final.firings, ({ schedule }) => schedule);
  const turns = new Map(files.final.turns.map((turn) => [turn.turn, turn]));
  for (const { schedule, conversation, intervalMs, firstAt, untilAt } of factsOf(files, 'schedule')) {
    const fired = firings.get(schedule) ?? [];
    const byInstant = groupBy(fired, ({ instant }) => String(instant));
    for (let instant = firstAt; instant <= untilAt; instant += intervalMs) {
      const count = byInstant.get(String(instant))?.length ?? 0;
      found.expect(count === 1, () => `${conversation}: ${new Date(instant).toISOString()} went off ${count} times`);
    }
    for (const { instant, turn } of fired) {
      const isOne = (instant - firstAt) % intervalMs === 0 && instant >= firstAt;
      found.expect(isOne, () => `${conversation}: ${new Date(instant).toISOString()} is no instant of the schedule`);
      found.expect(turns.has(turn), () => `${conversation}: the turn of ${new Date(instant).toISOString()} is lost`);
    }
    const made = [...turns.values()].filter((turn) => turn.conversation === conversation).length;
    found.expect(made === fired.length, () => `${conversation}: ${fired.length} firings made ${made} turns`);
  }
  return found.done({ firings: files.final.firings.length });
}

/** How long the adaptive poll pauses at the most. */
const POLL_MS = 3_000;

/** G12: without Redis a turn starts at the next poll. */
export function checkRedisOutages(files: RunFiles): Finding {
  const found = new Findings('G12');
  const { backplane, graceMs } = runOf(files);
  if (backplane !== 'redis') return found.done();
  const faults = faultsOf(files);
  const outages = faults.filter(({ name }) => name === 'redis_kill' || name === 'redis_flush');
  const exits = factsOf(files, 'process').filter(({ state }) => state === 'exited');
  const byConversation = groupBy(files.final.turns, ({ conversation }) => conversation);
  for (const { beginAt, endAt } of outages) {
    const isCalm =
      faults.every((fault) => fault.name.startsWith('redis') || fault.endAt < beginAt || fault.beginAt > endAt) &&
      exits.every(({ at }) => at < beginAt - POLL_MS || at > endAt);
    if (!isCalm) continue;
    for (const turn of files.final.turns) {
      if (turn.createdAt < beginAt || turn.createdAt > endAt || turn.startedAt === null) continue;
      // A turn behind others waits for them and not for a wake-up.
      const earlier = (byConversation.get(turn.conversation) ?? []).filter(
        ({ createdAt }) => createdAt < turn.createdAt,
      );
      const isFirst = earlier.every(({ finishedAt }) => finishedAt !== null && finishedAt <= turn.createdAt);
      if (!isFirst) continue;
      const waitedMs = turn.startedAt - turn.createdAt;
      found.expect(
        waitedMs <= POLL_MS + graceMs,
        () => `${turn.conversation}: ${turn.op} waited ${waitedMs} ms for a worker without Redis`,
        turn.createdAt,
      );
    }
  }
  return found.done({ outages: outages.length });
}
