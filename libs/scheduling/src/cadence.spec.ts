import { ContractError, type Cadence } from '@tyrum/protocol';
import fc from 'fast-check';
import { latestInstant, nextInstant, requireCadence } from './cadence';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function cron(expression: string, timezone: string): { cadence: Cadence; anchorMs: number } {
  return { cadence: { type: 'cron', expression, timezone }, anchorMs: 0 };
}

/** All instants in (from, until]. */
function instants(schedule: { cadence: Cadence; anchorMs: number }, from: number, until: number): number[] {
  const found: number[] = [];
  for (let at = nextInstant(schedule, from); at !== undefined && at <= until; at = nextInstant(schedule, at)) {
    found.push(at);
  }
  return found;
}

const iso = (times: readonly number[]) => times.map((time) => new Date(time).toISOString());

interface Wall {
  readonly date: string;
  readonly hour: number;
  readonly minute: number;
}

/** What the clocks show at every minute of (from, until], asked of Intl one by one. */
function clocks(timezone: string, from: number, until: number): { instant: number; wall: Wall }[] {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: timezone,
    hourCycle: 'h23',
    dateStyle: 'short',
    timeStyle: 'short',
  });
  const shown: { instant: number; wall: Wall }[] = [];
  for (let instant = from + MINUTE; instant <= until; instant += MINUTE) {
    const [date = '', time = ''] = format.format(instant).split(', ');
    const [hour, minute] = time.split(':').map(Number) as [number, number];
    shown.push({ instant, wall: { date, hour, minute } });
  }
  return shown;
}

/** The policy for fixed hours, by enumeration: every named minute of every date, and when clocks first show it or skip it. */
function oracleForFixedHours(hours: number[], minutes: number[], shown: ReturnType<typeof clocks>): number[] {
  const found = new Set<number>();
  const dates = [...new Set(shown.map(({ wall }) => wall.date))].slice(1, -1);
  for (const date of dates) {
    const ofDate = shown.filter(({ wall }) => wall.date === date);
    for (const hour of hours) {
      for (const minute of minutes) {
        const exact = ofDate.find(({ wall }) => wall.hour === hour && wall.minute === minute);
        const later = ofDate.find(({ wall }) => wall.hour * 60 + wall.minute > hour * 60 + minute);
        const hit = exact ?? later;
        if (hit) found.add(hit.instant);
      }
    }
  }
  return [...found].sort((a, b) => a - b);
}

const JUMPS: [zone: string, around: string][] = [
  ['Europe/Berlin', '2026-03-29T01:00:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00:00Z'],
  ['America/New_York', '2026-03-08T07:00:00Z'],
  ['America/New_York', '2026-11-01T06:00:00Z'],
  ['America/St_Johns', '2026-03-08T05:30:00Z'],
  ['America/St_Johns', '2026-11-01T04:30:00Z'],
  ['America/Santiago', '2026-09-06T04:00:00Z'],
  ['America/Santiago', '2026-04-05T03:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Pacific/Chatham', '2026-09-26T14:00:00Z'],
  ['Antarctica/Troll', '2026-03-29T01:00:00Z'],
  ['Antarctica/Troll', '2026-10-25T01:00:00Z'],
  ['Africa/Casablanca', '2026-03-22T02:00:00Z'],
  ['Asia/Kolkata', '2026-03-29T01:00:00Z'],
];

describe('cron over a jump of the clocks', () => {
  it.each(JUMPS)('in %s around %s: fixed hours go off once, as the oracle says', (zone, around) => {
    const [from, until] = [Date.parse(around) - 3 * DAY, Date.parse(around) + 3 * DAY];
    const shown = clocks(zone, from, until);
    const whole = { from: (shown.find(({ wall }) => wall.date !== shown[0]?.wall.date)?.instant ?? 0) - 1, until: 0 };
    const lastDate = shown.at(-1)?.wall.date;
    whole.until = (shown.find(({ wall }) => wall.date === lastDate)?.instant ?? 0) - 1;
    for (const [hourField, hours] of [
      ['0', [0]],
      ['1', [1]],
      ['2', [2]],
      ['1-3', [1, 2, 3]],
      ['23', [23]],
    ] as const) {
      for (const [minuteField, minutes] of [
        ['0', [0]],
        ['15,45', [15, 45]],
        ['30', [30]],
      ] as const) {
        const schedule = cron(`${minuteField} ${hourField} * * *`, zone);
        const expected = oracleForFixedHours([...hours], [...minutes], shown);
        const label = `${minuteField} ${hourField}`;
        expect([label, iso(instants(schedule, whole.from, whole.until))]).toEqual([label, iso(expected)]);
      }
    }
  });

  it.each(JUMPS)('in %s around %s: every hour is every hour that passes', (zone, around) => {
    const [from, until] = [Date.parse(around) - DAY, Date.parse(around) + DAY];
    for (const [field, minutes] of [
      ['*/15', [0, 15, 30, 45]],
      ['7', [7]],
    ] as const) {
      const expected = clocks(zone, from, until).filter(({ wall }) =>
        (minutes as readonly number[]).includes(wall.minute),
      );
      expect(iso(instants(cron(`${field} * * * *`, zone), from, until))).toEqual(iso(expected.map((x) => x.instant)));
    }
  });

  it('fires a time in the gap at its end, and several of them once', () => {
    const night = [Date.parse('2026-03-28T23:00:00Z'), Date.parse('2026-03-29T12:00:00Z')] as const;
    expect(iso(instants(cron('30 2 * * *', 'Europe/Berlin'), ...night))).toEqual(['2026-03-29T01:00:00.000Z']);
    expect(iso(instants(cron('15,45 2 * * *', 'Europe/Berlin'), ...night))).toEqual(['2026-03-29T01:00:00.000Z']);
  });

  it('fires a time in the overlap the first time only, wherever the search starts', () => {
    const schedule = cron('30 2 * * *', 'Europe/Berlin');
    const first = Date.parse('2026-10-25T00:30:00Z');
    for (const start of [first, first + 20 * MINUTE, first + HOUR - 1, first + HOUR]) {
      expect(iso([nextInstant(schedule, start) ?? 0])).toEqual(['2026-10-26T01:30:00.000Z']);
    }
  });
});

describe('cron', () => {
  it('takes six fields, the first of which are seconds', () => {
    const from = Date.parse('2026-05-01T00:00:00.500Z');
    expect(iso(instants(cron('*/20 * * * * *', 'UTC'), from, from + MINUTE))).toEqual([
      '2026-05-01T00:00:20.000Z',
      '2026-05-01T00:00:40.000Z',
      '2026-05-01T00:01:00.000Z',
    ]);
  });

  it.each(['61 * * * *', '* * * *', '* * * * * * *', '@daily', 'now', '? * * * *', '2026-01-01T00:00:00', ''])(
    'refuses %j and names cadence.expression',
    (expression) => {
      expect(() => requireCadence(cron(expression, 'UTC'))).toThrow(ContractError);
      expect(() => requireCadence(cron(expression, 'UTC'))).toThrow(/^cadence\.expression: /);
    },
  );

  it('refuses a day that never comes, and a zone that is none', () => {
    expect(() => requireCadence(cron('0 0 30 2 *', 'UTC'))).toThrow(/^cadence\.expression: names a day that never/);
    expect(() => requireCadence(cron('0 0 * * *', 'Mars/Base'))).toThrow(/^cadence\.timezone: /);
  });
});

/** Any cadence that goes off at least once a week. */
const anyCadence: fc.Arbitrary<Cadence> = fc.oneof(
  fc.integer({ min: 1_000, max: 7 * DAY }).map((interval_ms) => ({ type: 'interval', interval_ms }) as const),
  fc
    .tuple(
      fc.integer({ min: 0, max: 59 }),
      fc.oneof(fc.constant('*'), fc.integer({ min: 0, max: 23 }).map(String)),
      fc.oneof(fc.constant('*'), fc.integer({ min: 0, max: 6 }).map(String)),
      fc.constantFrom('Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'America/Santiago', 'UTC'),
    )
    .map(([minute, hour, weekday, timezone]) => ({
      type: 'cron' as const,
      expression: `${minute} ${hour} * * ${weekday}`,
      timezone,
    })),
);
const anyTime = fc.integer({ min: Date.parse('2025-01-01T00:00:00Z'), max: Date.parse('2030-01-01T00:00:00Z') });

describe('any cadence', () => {
  it('goes forward, and to the same instant from anywhere before it', () => {
    fc.assert(
      fc.property(anyCadence, anyTime, fc.double({ min: 0, max: 1, noNaN: true }), (cadence, after, part) => {
        const schedule = { cadence, anchorMs: Date.parse('2024-06-01T00:00:00.123Z') };
        const next = nextInstant(schedule, after) as number;
        expect(next).toBeGreaterThan(after);
        expect(next - after).toBeLessThanOrEqual(8 * DAY);
        expect(nextInstant(schedule, after + Math.floor((next - 1 - after) * part))).toBe(next);
      }),
    );
  });

  it('has the latest instant that walking finds', () => {
    fc.assert(
      fc.property(anyCadence, anyTime, fc.integer({ min: 0, max: 3 * DAY }), (cadence, after, span) => {
        const schedule = { cadence, anchorMs: Date.parse('2024-06-01T00:00:00Z') };
        const first = nextInstant(schedule, after) as number;
        const until = first + Math.min(span, cadence.type === 'interval' ? cadence.interval_ms * 50 : span);
        expect(latestInstant(schedule, first, until)).toBe(instants(schedule, first, until).at(-1) ?? first);
      }),
      { numRuns: 50 },
    );
  });
});

describe('an interval', () => {
  it('is counted from the creation, however late it is asked', () => {
    const schedule = { cadence: { type: 'interval', interval_ms: 60_000 } as const, anchorMs: 1_000_123 };
    expect(nextInstant(schedule, 1_000_123)).toBe(1_060_123);
    expect(nextInstant(schedule, 1_060_122)).toBe(1_060_123);
    expect(nextInstant(schedule, 1_060_123)).toBe(1_120_123);
    expect(nextInstant(schedule, 1_199_999)).toBe(1_240_123);
    expect(nextInstant(schedule, 0)).toBe(1_060_123);
  });
});
