import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { RunnerOutcome, RunnerStep } from './messages';

interface JournalLine {
  readonly key: string;
  readonly attempt: number;
  /** Absent in an intent. */
  readonly outcome?: RunnerOutcome;
}

/** Larger journals are set aside; the one before is kept, so that a recovery finds at least the last few thousand steps. */
const ROTATE_BYTES = 4 * 1024 * 1024;
/** Outcomes kept in memory; the oldest go first. */
const MAX_KEYS = 2_000;

/**
 * What was about to be done in a workspace and what came of it, fsynced around each effect: intent → effect → outcome. A
 * worker that died after the effect and before its commit is answered from here, and a step that has succeeded under its
 * idempotency key is not done again.
 */
export class Journal {
  private readonly outcomes = new Map<string, { attempt: number; outcome: RunnerOutcome }[]>();
  /** How much of the file has been read; another runner may have written on. */
  private offset = 0;

  constructor(private readonly path: string) {
    if (existsSync(`${path}.1`)) this.take(readFileSync(`${path}.1`, 'utf8'));
  }

  /** What came of this very attempt, or of an earlier one that succeeded. Undefined: nothing, or nobody knows. */
  find({ idempotencyKey, attempt }: RunnerStep): RunnerOutcome | undefined {
    this.readOn();
    const known = this.outcomes.get(idempotencyKey) ?? [];
    return known.findLast((entry) => entry.outcome.kind === 'succeeded' || entry.attempt === attempt)?.outcome;
  }

  intend(step: RunnerStep): void {
    this.append({ key: step.idempotencyKey, attempt: step.attempt });
  }

  settle(step: RunnerStep, outcome: RunnerOutcome): void {
    this.append({ key: step.idempotencyKey, attempt: step.attempt, outcome });
  }

  private append(line: JournalLine): void {
    if (existsSync(this.path) && statSync(this.path).size > ROTATE_BYTES) renameSync(this.path, `${this.path}.1`);
    const file = openSync(this.path, 'a', 0o600);
    try {
      // Begins with a line break: what a crash cut short before it stays a line of its own.
      writeSync(file, `\n${JSON.stringify(line)}`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  private readOn(): void {
    if (!existsSync(this.path)) return;
    const file = openSync(this.path, 'r');
    try {
      const { size } = fstatSync(file);
      if (size < this.offset) this.offset = 0; // set aside meanwhile, and begun anew
      const bytes = Buffer.alloc(size - this.offset);
      readSync(file, bytes, 0, bytes.length, this.offset);
      this.offset = size;
      this.take(bytes.toString('utf8'));
    } finally {
      closeSync(file);
    }
  }

  private take(text: string): void {
    for (const line of text.split('\n').flatMap(parse)) {
      if (!line.outcome) continue;
      const { attempt, outcome } = line;
      this.outcomes.set(line.key, [...(this.outcomes.get(line.key) ?? []), { attempt, outcome }]);
      if (this.outcomes.size > MAX_KEYS) this.outcomes.delete(this.outcomes.keys().next().value as string);
    }
  }
}

/** A crash may have cut a line short; an outcome that is not whole was never answered. */
function parse(text: string): JournalLine[] {
  try {
    return text === '' ? [] : [JSON.parse(text) as JournalLine];
  } catch {
    return [];
  }
}
