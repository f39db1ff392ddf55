import { ContractError, type Cadence, type CronCadence } from '@tyrum/protocol';
import { Cron } from 'croner';
import { Zone } from './zone';

/**
 * When schedules go off. Croner reads the expressions and walks the calendar; which instant a wall-clock time is, is
 * decided here. Croner's own answer was rejected: it drops all but one of several times inside a gap, leaves `* * * * *`
 * silent for the hour that comes twice, and takes the second pass of Lord Howe's half-hour overlap.
 */

/** What is needed to tell a schedule's instants apart from those of another one with the same cadence. */
export interface Anchored {
  readonly cadence: Cadence;
  /** When the schedule was created, in ms: intervals are counted from here, so that lateness never adds up. */
  readonly anchorMs: number;
}

/**
 * The first instant strictly after `afterMs`, in ms since the epoch; undefined when there is none (30 February).
 * @throws {ContractError} the cadence is not valid: `cadence.expression` or `cadence.timezone`
 */
export function nextInstant({ cadence, anchorMs }: Anchored, afterMs: number): number | undefined {
  if (cadence.type === 'cron') return nextCronInstant(cadence, afterMs);
  const passed = Math.floor((afterMs - anchorMs) / cadence.interval_ms);
  return anchorMs + Math.max(1, passed + 1) * cadence.interval_ms;
}

/** The last instant in [`fromMs`, `untilMs`], where `fromMs` is an instant itself. Bisects: a year of seconds is 35 steps. */
export function latestInstant(schedule: Anchored, fromMs: number, untilMs: number): number {
  let latest = fromMs;
  let [lo, hi] = [fromMs, untilMs];
  while (lo < hi) {
    const middle = Math.floor((lo + hi) / 2);
    const next = nextInstant(schedule, middle);
    if (next !== undefined && next <= untilMs) lo = latest = next;
    else hi = middle;
  }
  return latest;
}

/**
 * Refuses a cadence that cannot be followed, or never goes off.
 * @throws {ContractError} naming `cadence.expression` or `cadence.timezone`
 */
export function requireCadence(schedule: Anchored): void {
  if (nextInstant(schedule, schedule.anchorMs) === undefined) {
    throw ContractError.at('cadence.expression', 'isCron', 'names a day that never comes');
  }
}

function nextCronInstant(cadence: CronCadence, afterMs: number): number | undefined {
  const { nextWall, everyHour } = readExpression(cadence.expression);
  const zone = readZone(cadence.timezone);
  if (everyHour) return nextByElapsedTime(zone, nextWall, afterMs);
  const wall = nextWall(zone.latestShown(afterMs));
  return wall === undefined ? undefined : zone.firstReaching(wall);
}

/** Every hour of the day means every hour that passes: times in a gap do not exist, times in an overlap exist twice. */
function nextByElapsedTime(zone: Zone, nextWall: NextWall, afterMs: number): number | undefined {
  let searchedTo = afterMs;
  let shown = afterMs + zone.offsetAt(afterMs);
  for (;;) {
    const wall = nextWall(shown);
    if (wall === undefined) return undefined;
    const instant = wall - zone.offsetAt(searchedTo);
    const jump = zone.nextJump(searchedTo, instant);
    if (jump === undefined) return instant;
    searchedTo = jump;
    shown = jump + zone.offsetAt(jump) - 1;
  }
}

/** The first wall time after another one that the expression names. */
type NextWall = (wall: number) => number | undefined;

function readExpression(expression: string): { nextWall: NextWall; everyHour: boolean } {
  const fields = expression.trim().split(/\s+/);
  // `@daily` is not portable, an ISO date is no cadence, and `?` stands for the moment at which it is read.
  if ((fields.length !== 5 && fields.length !== 6) || expression.includes('?')) {
    throw ContractError.at('cadence.expression', 'isCron', 'must be a cron expression of 5 or 6 fields');
  }
  try {
    const cron = new Cron(expression, { timezone: 'UTC', paused: true, mode: '5-or-6-parts' });
    return { nextWall: (wall) => cron.nextRun(new Date(wall))?.getTime(), everyHour: fields.at(-4) === '*' };
  } catch (error) {
    const reason = (error as Error).message.replace(/^CronPattern: /, '');
    throw ContractError.at('cadence.expression', 'isCron', `is not a cron expression: ${reason}`);
  }
}

function readZone(name: string): Zone {
  try {
    return new Zone(name);
  } catch {
    throw ContractError.at('cadence.timezone', 'isTimeZone', 'must be an IANA time zone');
  }
}
