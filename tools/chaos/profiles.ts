export interface Profile {
  /** How long the clients work while things go wrong. */
  readonly loadMs: number;
  /** Everything must be at rest so long after the last fault. */
  readonly settleMs: number;
  readonly ttlMs: number;
  readonly conversations: number;
  /** Only the faults without which a run proves nothing. */
  readonly essentialOnly: boolean;
  /** Between two faults. */
  readonly calmMs: readonly [number, number];
  /** The whole run, from the first process to the report. */
  readonly deadlineMs: number;
}

const SHARED = { settleMs: 30_000, ttlMs: 2_500, conversations: 8, calmMs: [800, 2_500] } as const;

export const PROFILES: Readonly<Record<string, Profile>> = {
  smoke: { ...SHARED, loadMs: 40_000, essentialOnly: true, calmMs: [300, 1_000], deadlineMs: 150_000 },
  planted: {
    ...SHARED,
    loadMs: 45_000,
    settleMs: 15_000,
    essentialOnly: false,
    calmMs: [300, 1_000],
    deadlineMs: 150_000,
  },
  pr: { ...SHARED, loadMs: 135_000, essentialOnly: false, deadlineMs: 300_000 },
  nightly: { ...SHARED, loadMs: 57 * 60_000, settleMs: 60_000, essentialOnly: false, deadlineMs: 66 * 60_000 },
};
