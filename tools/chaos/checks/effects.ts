import type { EffectLine } from '../ledger';
import { Findings, factsOf, groupBy, type Finding, type RunFiles } from './run-files';

const SETTLED = new Set(['succeeded', 'failed', 'cancelled']);

/** G2: two executions in one conversation never overlap. */
export function checkOverlaps(files: RunFiles): Finding {
  const found = new Findings('G2');
  // A turn that was cancelled or given up has had its command killed, and the next turn goes on under the same lease.
  const cutOff = new Set(files.final.turns.filter(({ status }) => status !== 'succeeded').map(({ turn }) => turn));
  for (const [conversation, lines] of groupBy(files.effects, (line) => line.conversation)) {
    let current: EffectLine | undefined;
    for (const line of lines) {
      if (line.mark === 'begin') {
        // An execution that was killed never says that it ended: the next one begins all the same, as another attempt
        // of the same step, or under a later token.
        const follows =
          !current ||
          line.token > current.token ||
          cutOff.has(current.turn) ||
          (line.turn === current.turn && line.step >= current.step);
        found.expect(
          follows,
          () => `${conversation}: ${nameOf(line)} begins while ${current && nameOf(current)} runs`,
          line.at,
        );
        current = line;
      } else if (line.mark === 'end') {
        const isCurrent = current?.run === line.run;
        found.expect(
          isCurrent,
          () => `${conversation}: ${nameOf(line)} went on after ${current ? nameOf(current) : 'its end'} had begun`,
          line.at,
        );
        if (isCurrent) current = undefined;
      }
    }
  }
  return found.done();
}

/** G3: nothing happens under a token after a higher one has been seen. */
export function checkStaleHolders(files: RunFiles): Finding {
  const found = new Findings('G3');
  for (const [conversation, lines] of groupBy(files.effects, (line) => line.conversation)) {
    let highest = 0;
    for (const line of lines) {
      found.expect(
        line.token >= highest,
        () => `${conversation}: ${nameOf(line)} had its ${line.mark} after token ${highest} was there`,
        line.at,
      );
      highest = Math.max(highest, line.token);
    }
  }
  // In the database: a turn that came to a good end, or was stopped, has no step that somebody set back since.
  for (const { op, turn, status, steps } of files.final.turns) {
    if (status !== 'succeeded' && status !== 'cancelled') continue;
    const open = steps.filter((step) => !SETTLED.has(step.status));
    found.expect(
      open.length === 0,
      () => `turn ${turn} (${op}) has ${status}, and its step ${open[0]?.step} is ${open[0]?.status} again`,
    );
  }
  // And tokens of one conversation are given out once each.
  for (const [conversation, takeovers] of groupBy(files.final.takeovers, (takeover) => takeover.conversation)) {
    const tokens = takeovers.map(({ token }) => token);
    found.expect(
      new Set(tokens).size === tokens.length,
      () => `${conversation}: one lease token was taken over twice (${tokens.join(', ')})`,
    );
  }
  return found.done();
}

/** G4: a step has one key; one of class `once` happens at most once unless an operator said so, and a doubt is visible. */
export function checkEffectsOnce(files: RunFiles): Finding {
  const found = new Findings('G4');
  const decisions = groupBy(factsOf(files, 'resolve'), ({ turn }) => turn);
  const status = new Map(files.final.turns.map((turn) => [turn.turn, turn.status]));
  const owners = new Map<string, string>();
  for (const [place, lines] of groupBy(files.effects, (line) => `${line.turn}/${line.step}`)) {
    const [first] = lines;
    if (!first) continue;
    const name = nameOf(first);
    const keys = new Set(lines.map(({ key }) => key));
    found.expect(keys.size === 1, () => `${name} came with ${keys.size} idempotency keys`, first.at);
    const owner = owners.get(first.key);
    found.expect(owner === undefined, () => `${name} has the idempotency key of ${owner}`, first.at);
    owners.set(first.key, place);
    if (first.effect !== 'once') continue;
    const resolved = decisions.get(first.turn) ?? [];
    const retries = resolved.filter(({ decision }) => decision === 'retry').length;
    const begins = lines.filter(({ mark }) => mark === 'begin');
    found.expect(
      begins.length <= 1 + retries,
      () => `${name} is of class once and ran ${begins.length} times with ${retries} retries allowed`,
      begins.at(-1)?.at,
    );
    const ended = lines.some(({ mark }) => mark === 'end');
    found.expect(
      ended || status.get(first.turn) !== 'succeeded' || resolved.length > 0,
      () => `${name} was cut off, and its turn succeeded without anybody being asked`,
      first.at,
    );
  }
  return found.done();
}

function nameOf({ op, step, token, run }: EffectLine): string {
  return `${op} step ${step} (token ${token}, run ${run})`;
}
