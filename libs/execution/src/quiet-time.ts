/** A step that only reads is recorded with its end if it ends within so many ms, and as running while it lasts if not. */
const QUIET_MS = 50;
/** Turns that have ended wait for those behind them, to share a commit, for so many ms. */
const HELD_MS = 2;

/** For how long turns that only read may run before anything is written about them. */
export class QuietTime {
  private timer: NodeJS.Timeout | undefined;
  private held = false;
  private over = false;
  private whenOver: (() => void) | undefined;
  private readonly pass = (): void => {
    this.over = true;
    this.whenOver?.();
  };

  constructor() {
    this.timer = setTimeout(this.pass, QUIET_MS);
  }

  /**
   * What comes of an execution, or undefined if the time is over first. Not `Promise.race`: a promise that stands for the time would
   * keep what came of every turn that was raced against it.
   */
  whileQuiet<Value>(execution: Promise<Value>): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      this.whenOver = () => resolve(undefined);
      if (this.over) this.whenOver();
      execution.then(resolve, reject);
    });
  }

  /** One of them has ended: from the first on they do not wait as long. */
  hold(): void {
    if (this.held) return;
    this.held = true;
    this.clear();
    this.timer = setTimeout(this.pass, HELD_MS);
  }

  clear(): void {
    clearTimeout(this.timer);
  }
}
