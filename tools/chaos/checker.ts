import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkEffectsOnce, checkOverlaps, checkStaleHolders } from './checks/effects';
import { checkDelivery, checkEventOrder } from './checks/events';
import { checkFirings, checkRedisOutages, checkTakeovers } from './checks/leases';
import { factsOf, opsOf, runOf, type Finding, type RunFiles, type Violation } from './checks/run-files';
import { checkAcceptedTurns, checkRequestKeys, checkRest, checkSqlite } from './checks/turns';
import { parseLines, type Fact, type FinalState } from './history';
import type { EffectLine } from './ledger';

export const FILES = { history: 'history.jsonl', effects: 'effects.jsonl', final: 'final.json' } as const;

const CHECKS: readonly ((files: RunFiles) => Finding)[] = [
  checkAcceptedTurns,
  checkOverlaps,
  checkStaleHolders,
  checkEffectsOnce,
  checkRequestKeys,
  checkEventOrder,
  checkDelivery,
  checkFirings,
  checkTakeovers,
  checkRedisOutages,
  checkSqlite,
  checkRest,
];

/** What has to have happened for a clean run to prove anything. */
export interface Counters {
  readonly acknowledged: number;
  readonly effects: number;
  readonly takeovers: number;
  readonly fencedWrites: number;
  readonly replays: number;
  /** Postgres: COMMITs whose answer was withheld. SQLite has no wire: requests whose answer was lost and that were accepted. */
  readonly unknownCommits: number;
}

export interface Verdict {
  readonly outcome: 'clean' | 'violated' | 'inconclusive';
  readonly findings: readonly Finding[];
  readonly violations: readonly Violation[];
  readonly counters: Counters;
  /** The counters that are zero and must not be. */
  readonly missing: readonly string[];
}

/** Judges a run by its files alone: the same files give the same verdict. */
export function check(files: RunFiles): Verdict {
  const findings = CHECKS.map((one) => one(files));
  const violations = findings.flatMap((finding) => finding.violations);
  const counters = countersOf(files);
  const missing = Object.entries(counters)
    .filter(([, value]) => value === 0)
    .map(([name]) => name);
  const clean = missing.length === 0 ? 'clean' : 'inconclusive';
  return { outcome: violations.length > 0 ? 'violated' : clean, findings, violations, counters, missing };
}

export function readRun(folder: string): RunFiles {
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  return {
    facts: parseLines<Fact>(text(FILES.history)),
    effects: parseLines<EffectLine>(text(FILES.effects)),
    final: JSON.parse(text(FILES.final)) as FinalState,
  };
}

/** Also of a run under way, which has no final state yet: its takeovers are not known then. */
export function countersOf(files: RunFiles): Counters {
  const answers = factsOf(files, 'answer');
  const logs = factsOf(files, 'log');
  return {
    acknowledged: new Set(answers.filter(({ status }) => status === 202).map(({ op }) => op)).size,
    effects: files.effects.filter(({ mark }) => mark === 'end').length,
    takeovers: files.final.takeovers.length,
    fencedWrites: logs.filter(({ message }) => message === 'write fenced').length,
    replays: answers.filter(({ replayed }) => replayed).length,
    unknownCommits:
      runOf(files).store === 'postgres' ? factsOf(files, 'commit_cut').length : lostAnswersOfAccepted(files),
  };
}

/** Every acceptance the client got to see was a replay: the answer to the first one was lost on its way. */
function lostAnswersOfAccepted(files: RunFiles): number {
  const acceptances = [...opsOf(files).values()].map(({ answers }) => answers.filter(({ status }) => status === 202));
  return acceptances.filter((all) => all.length > 0 && all.every(({ replayed }) => replayed)).length;
}
