import fc from 'fast-check';

/** A model is small enough to be believed; its state is compared whole. */
export interface Model {
  seen(): unknown;
}

/** The real thing beside its model. */
export interface Real {
  seen(): Promise<unknown>;
}

export type Act<M extends Model, R extends Real> = fc.Arbitrary<fc.AsyncCommand<M, R>>;

/** One thing that may be done to the model and to the real thing alike. */
export interface ActSteps<M extends Model, R extends Real, Args> {
  /** Not everything can be done in every state. */
  readonly fits?: (model: Readonly<M>, args: Args) => boolean;
  /** Changes the model and says what the answer has to be. */
  readonly expected: (model: M, args: Args) => unknown;
  readonly actual: (real: R, args: Args) => Promise<unknown>;
}

/** Something to do with whatever arguments: its answer and all that can be seen afterwards must be as the model says. */
export function act<M extends Model, R extends Real, Args>(
  name: string,
  args: fc.Arbitrary<Args>,
  { fits, expected, actual }: ActSteps<M, R, Args>,
): Act<M, R> {
  return args.map((chosen) => ({
    check: (model: Readonly<M>) => fits?.(model, chosen) ?? true,
    run: async (model: M, real: R) => {
      const answer = expected(model, chosen);
      expect({ [name]: await actual(real, chosen) }).toEqual({ [name]: answer });
      expect(await real.seen()).toEqual(model.seen());
    },
    toString: () => `${name}(${fc.stringify(chosen)})`,
  }));
}

export interface ModelRunOptions<M extends Model, R extends Real> {
  readonly acts: readonly Act<M, R>[];
  /** A new model and a real thing as new. */
  readonly begin: () => Promise<{ readonly model: M; readonly real: R; end?(): Promise<void> }>;
  readonly maxActs?: number;
  /** Sequences of acts, unless TYRUM_MODEL_RUNS says otherwise. */
  readonly runs?: number;
}

/** A slow machine tries fewer sequences and does not fail for it; a failure is made no smaller after that. */
const TIME_LIMIT_MS = 60_000;

/**
 * Does the same to a model and to the real thing, in as many random orders. A failure says how to see it again:
 * `TYRUM_MODEL_SEED=seed:path` begins with the very sequence that failed. `TYRUM_MODEL_RUNS` tries more of them, and
 * `TYRUM_MODEL_SHRINK=0` shows the first that fails as it is.
 */
export async function checkAgainstModel<M extends Model, R extends Real>(
  options: ModelRunOptions<M, R>,
): Promise<void> {
  const { acts, begin, maxActs = 40, runs = 25 } = options;
  const property = fc.asyncProperty(fc.commands([...acts], { maxCommands: maxActs, size: 'max' }), async (commands) => {
    const setup = await begin();
    try {
      await fc.asyncModelRun(() => setup, commands);
    } finally {
      await setup.end?.();
    }
  });
  const [seed, path] = (process.env['TYRUM_MODEL_SEED'] ?? '').split(':');
  const result = await fc.check(property, {
    numRuns: Number(process.env['TYRUM_MODEL_RUNS'] ?? runs),
    ...(process.env['TYRUM_MODEL_RUNS'] ? {} : { interruptAfterTimeLimit: TIME_LIMIT_MS }),
    endOnFailure: process.env['TYRUM_MODEL_SHRINK'] === '0',
    ...(seed ? { seed: Number(seed) } : {}),
    ...(path ? { path } : {}),
  });
  if (!result.failed) return;
  // The sequence as it first failed: what comes behind the colon is only how it was made smaller.
  const failed = result.counterexamplePath?.split(':')[0] ?? '';
  const report = await fc.asyncDefaultReportMessage(result);
  throw new Error(`${report}\nreplay: TYRUM_MODEL_SEED=${result.seed}:${failed}`, { cause: result.errorInstance });
}
