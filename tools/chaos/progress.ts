/** Where a run's progress is shown. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const UNWATCHED_MS = 10_000;

/** One line that is written over; where nobody watches, a line every 10 s. */
export class Progress {
  private shownAt = -Infinity;

  constructor(
    private readonly output: ProgressOutput,
    private readonly monotonicMs: () => number,
  ) {}

  show(line: string): void {
    const { isTTY, columns = 80 } = this.output;
    if (isTTY) return void this.output.write(`\r\x1b[K${line.slice(0, columns - 1)}`);
    const nowMs = this.monotonicMs();
    if (nowMs - this.shownAt < UNWATCHED_MS) return;
    this.shownAt = nowMs;
    this.output.write(`${line}\n`);
  }

  end(): void {
    if (this.output.isTTY) this.output.write('\n');
  }
}
