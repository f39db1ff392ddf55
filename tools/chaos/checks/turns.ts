import { Findings, factsOf, groupBy, opsOf, runOf, type Finding, type RunFiles } from './run-files';

const ENDED = new Set(['succeeded', 'failed', 'cancelled']);
const END_EVENTS = new Set(['turn.completed', 'turn.failed', 'turn.cancelled']);
/** A turn fails because of what its steps did or an operator said; for these only we are to blame. */
const OUR_OWN_FAULT = new Set(['internal', 'stale_token', 'idempotency_key_reused']);

/** G1: an acknowledged turn exists once and has ended once, and what is called a success has happened. */
export function checkAcceptedTurns(files: RunFiles): Finding {
  const found = new Findings('G1');
  const turns = new Map(files.final.turns.map((turn) => [turn.turn, turn]));
  const ends = groupBy(
    files.final.outbox.filter(({ type }) => END_EVENTS.has(type)),
    ({ turn }) => turn ?? '',
  );
  for (const op of opsOf(files).values()) {
    for (const { status, turn, at } of op.answers.filter((answer) => answer.status === 202)) {
      found.expect(turns.has(turn ?? ''), () => `${op.name}: answered ${status} with turn ${turn}, which is lost`, at);
    }
  }
  const starts = groupBy(
    files.final.outbox.filter(({ type }) => type === 'turn.started'),
    ({ turn }) => turn ?? '',
  );
  const happened = new Set(
    files.effects.filter(({ mark }) => mark === 'end').map(({ turn, step }) => `${turn}/${step}`),
  );
  const settledByHand = new Set(
    factsOf(files, 'resolve')
      .filter(({ decision }) => decision === 'done')
      .map(({ turn }) => turn),
  );
  for (const turn of turns.values()) {
    const name = `turn ${turn.turn} (${turn.op})`;
    found.expect(ENDED.has(turn.status), () => `${name} is ${turn.status} for ever`);
    const count = ends.get(turn.turn)?.length ?? 0;
    found.expect(count === 1, () => `${name} ended ${count} times by its events`);
    const started = starts.get(turn.turn)?.length ?? 0;
    found.expect(started <= 1, () => `${name} started ${started} times by its events`);
    if (turn.error) found.expect(!OUR_OWN_FAULT.has(turn.error), () => `${name} failed with ${turn.error}`);
    if (turn.status !== 'succeeded' || settledByHand.has(turn.turn)) continue;
    for (const { step } of turn.steps) {
      const key = `${turn.turn}/${step}`;
      found.expect(happened.has(key), () => `${name} succeeded, but step ${step} has no effect`);
    }
  }
  return found.done();
}

/** G5: one key is one turn and one answer; the same key with another payload is refused. */
export function checkRequestKeys(files: RunFiles): Finding {
  const found = new Findings('G5');
  const turnsOfOp = groupBy(
    files.final.turns.filter(({ trigger }) => trigger !== 'schedule'),
    ({ op }) => op,
  );
  const ops = opsOf(files);
  for (const op of ops.values()) {
    const made = turnsOfOp.get(op.name)?.length ?? 0;
    found.expect(made <= 1, () => `${op.name}: one key made ${made} turns`);
    const payloads = new Map(op.sends.map(({ request, payload }) => [request, payload]));
    const accepted = op.answers.filter(({ status }) => status === 202);
    const distinct = new Set(accepted.map(({ turn }) => turn));
    found.expect(distinct.size <= 1, () => `${op.name}: one key was answered with turns ${[...distinct].join(', ')}`);
    for (const { request, status, at } of op.answers) {
      const isChanged = payloads.get(request) === 'changed';
      // 0 and 5xx say nothing about the key, and 409 that its first request is still under way.
      if (status === 202) found.expect(!isChanged, () => `${op.name}: another payload under its key was accepted`, at);
      if (status === 422) found.expect(isChanged, () => `${op.name}: its own payload was refused as another`, at);
    }
  }
  for (const name of turnsOfOp.keys()) found.expect(ops.has(name), () => `a turn of ${name}, which nobody sent`);
  return found.done();
}

/** G13: SQLite keeps its file whole and its lock to itself. */
export function checkSqlite(files: RunFiles): Finding {
  const found = new Findings('G13');
  if (runOf(files).store !== 'sqlite') return found.done();
  found.expect(files.final.integrity === 'ok', () => `integrity_check says ${files.final.integrity}`);
  for (const log of factsOf(files, 'log')) {
    found.expect(
      !/SQLITE_BUSY|database is locked/.test(log.detail ?? ''),
      () => `${log.instance}: ${log.detail}`,
      log.at,
    );
  }
  for (const { op, text, at } of factsOf(files, 'answer')) {
    found.expect(!/SQLITE_BUSY|locked/.test(text ?? ''), () => `${op} was told: ${text}`, at);
  }
  return found.done();
}

/** G21: when the faults have stopped, everything comes to rest and nothing is left running. */
export function checkRest(files: RunFiles): Finding {
  const found = new Findings('G21');
  const rests = factsOf(files, 'rest');
  found.expect(rests.length > 0, () => 'nobody looked whether everything came to rest');
  for (const { problems, at } of rests) {
    found.expect(problems.length === 0, () => problems.join('; '), at);
  }
  return found.done();
}
