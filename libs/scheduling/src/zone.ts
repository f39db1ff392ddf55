const SECOND_MS = 1_000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;
/** No zone changes its offset twice within that long, as far as the time zone database goes for the present. */
const SCAN_STEP_MS = 7 * DAY_MS;
const OFFSET = /^GMT(?:([+-])(\d{2}):(\d{2})(?::(\d{2}))?)?$/;

/**
 * A time zone as the relation between instants and wall-clock times, both in milliseconds: the wall time of an instant is
 * what its clocks show, written as if it were UTC. Wall time runs on with the instants, but for jumps: forward over a gap
 * (spring), back into an overlap (autumn).
 */
export class Zone {
  private readonly format: Intl.DateTimeFormat;

  /** @throws {RangeError} there is no zone of that name */
  constructor(name: string) {
    this.format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  }

  /** Wall time minus instant. */
  offsetAt(instant: number): number {
    const part = this.format.formatToParts(instant).find(({ type }) => type === 'timeZoneName');
    const [, sign, hours, minutes, seconds] = OFFSET.exec(part?.value ?? '') ?? [];
    const magnitude = Number(hours ?? 0) * 3_600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
    return (sign === '-' ? -magnitude : magnitude) * SECOND_MS;
  }

  /** The first instant at which the clocks show `wall` or later: in a gap its end, in an overlap the first pass. */
  firstReaching(wall: number): number {
    const [lo, hi] = [wall - DAY_MS, wall + DAY_MS];
    const [before, after] = [this.offsetAt(lo), this.offsetAt(hi)];
    if (before === after) return wall - before;
    const jump = this.jumpBetween(lo, hi);
    return wall < jump + before ? wall - before : Math.max(jump, wall - after);
  }

  /** The latest wall time that the clocks have shown up to `instant`, to the millisecond. */
  latestShown(instant: number): number {
    const [before, now] = [this.offsetAt(instant - DAY_MS), this.offsetAt(instant)];
    const shown = instant + now;
    if (before <= now) return shown;
    return Math.max(shown, this.jumpBetween(instant - DAY_MS, instant) + before - 1);
  }

  /** The first instant after `from` and not after `until` at which the clocks jump. */
  nextJump(from: number, until: number): number | undefined {
    const offset = this.offsetAt(from);
    for (let lo = from; lo < until; lo += SCAN_STEP_MS) {
      const hi = Math.min(lo + SCAN_STEP_MS, until);
      if (this.offsetAt(hi) !== offset) return this.jumpBetween(lo, hi);
    }
    return undefined;
  }

  /** Bisects for the first instant whose offset is not that of `lo`. Jumps are on whole seconds. */
  private jumpBetween(lo: number, hi: number): number {
    const before = this.offsetAt(lo);
    let [same, other] = [Math.floor(lo / SECOND_MS), Math.ceil(hi / SECOND_MS)];
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2);
      if (this.offsetAt(middle * SECOND_MS) === before) same = middle;
      else other = middle;
    }
    return other * SECOND_MS;
  }
}
