import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, renameSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from './fence';
import type { RunnerOutcome, RunnerStep } from './messages';

interface JournalLine {
  readonly key: string;
  readonly attempt: number;
  /** SHA-256 of the work, in an intent: the same key for other work is a mistake, and must not be answered as if it were not. */
  readonly work?: string;
  /** Absent in an intent. */
  readonly outcome?: RunnerOutcome;
}

interface Known {
  work: string | undefined;
  readonly attempts: Map<number, RunnerOutcome | undefined>;
}

/** What the journal says about a step that is about to run. */
export type Earlier =
  | { readonly kind: 'outcome'; readonly outcome: RunnerOutcome }
  /** This very attempt had begun, and nobody knows what came of it. */
  | { readonly kind: 'open' }
  | { readonly kind: 'other_work' };

/** Larger journals are set aside; the one before is kept, so that a recovery finds at least the last few hundred steps. */
const ROTATE_BYTES = 1024 * 1024;
/** Keys kept in memory; the oldest go first. */
const MAX_KEYS = 2_000;
/** Longer text is cut here and not in the answer: the journal is read whole, and outputs are most of it. */
const MAX_TEXT = 16 * 1024;

/**
 * What was about to be done in a workspace and what came of it, fsynced around each effect: intent → effect → outcome. A
 * worker that died after the effect and before its commit is answered from here, and a step that has succeeded under its
 * idempotency key is not done again.
 */
export class Journal {
  private readonly known = new Map<string, Known>();
  /** How much of which file has been read; another runner may have written on, or set it aside. */
  private offset = 0;
  private inode = 0;

  constructor(private readonly path: string) {
    if (existsSync(`${path}.1`)) this.take(readFileSync(`${path}.1`, 'utf8'));
  }

  /** What came of this very attempt, or of one that succeeded under the same key. */
  find(step: RunnerStep): Earlier | undefined {
    this.readOn();
    const known = this.known.get(step.idempotencyKey);
    if (!known) return undefined;
    if (known.work !== undefined && known.work !== hashOf(step)) return { kind: 'other_work' };
    const succeeded = [...known.attempts.values()].findLast((outcome) => outcome?.kind === 'succeeded');
    const outcome = succeeded ?? known.attempts.get(step.attempt);
    if (outcome) return { kind: 'outcome', outcome };
    return known.attempts.has(step.attempt) ? { kind: 'open' } : undefined;
  }

  intend(step: RunnerStep): Promise<void> {
    return this.append({ key: step.idempotencyKey, attempt: step.attempt, work: hashOf(step) });
  }

  settle(step: RunnerStep, outcome: RunnerOutcome): Promise<void> {
    return this.append({ key: step.idempotencyKey, attempt: step.attempt, outcome: shortened(outcome) });
  }

  private async append(line: JournalLine): Promise<void> {
    if (existsSync(this.path) && statSync(this.path).size > ROTATE_BYTES) renameSync(this.path, `${this.path}.1`);
    const isNew = !existsSync(this.path);
    const file = await open(this.path, 'a', 0o600);
    try {
      // Begins with a line break: what a crash cut short before it stays a line of its own.
      await file.write(`\n${JSON.stringify(line)}`);
      await file.datasync();
    } finally {
      await file.close();
    }
    if (isNew) await syncDirectory(dirname(this.path));
  }

  private readOn(): void {
    if (!existsSync(this.path)) return;
    const file = openSync(this.path, 'r');
    try {
      const { size, ino } = fstatSync(file);
      if (ino !== this.inode || size < this.offset) this.offset = 0;
      this.inode = ino;
      const bytes = Buffer.alloc(size - this.offset);
      readSync(file, bytes, 0, bytes.length, this.offset);
      this.offset = size;
      this.take(bytes.toString('utf8'));
    } finally {
      closeSync(file);
    }
  }

  private take(text: string): void {
    for (const { key, attempt, work, outcome } of text.split('\n').flatMap(parse)) {
      const known = this.known.get(key) ?? { work, attempts: new Map<number, RunnerOutcome | undefined>() };
      known.work ??= work;
      known.attempts.set(attempt, outcome ?? known.attempts.get(attempt));
      this.known.set(key, known);
      if (this.known.size > MAX_KEYS) this.known.delete(this.known.keys().next().value as string);
    }
  }
}

function hashOf({ work }: RunnerStep): string {
  return createHash('sha256').update(JSON.stringify(work)).digest('hex');
}

/** The outcome as it is kept: without the spool file, which is the worker's to take away, and with long text cut. */
function shortened(outcome: RunnerOutcome): RunnerOutcome {
  if (!('result' in outcome) || !outcome.result) return outcome;
  const { spool, ...result } = outcome.result;
  const { output } = result as { output?: unknown };
  if (typeof output !== 'string' || output.length <= MAX_TEXT) return { ...outcome, result };
  const kept = `${output.slice(0, MAX_TEXT)}\n… ${output.length - MAX_TEXT} characters left out …`;
  return { ...outcome, result: { ...result, output: kept, truncated: true } };
}

/** A crash may have cut a line short; an outcome that is not whole was never answered. */
function parse(text: string): JournalLine[] {
  try {
    return text === '' ? [] : [JSON.parse(text) as JournalLine];
  } catch {
    return [];
  }
}
