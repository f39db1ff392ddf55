import { beatInstance, type Param, type StateStore } from '@tyrum/statestore';
import { forgetInstance } from './sql/instances';

export interface HeartbeatOptions {
  readonly instanceId: string;
  readonly app: string;
  readonly roles: readonly string[];
  readonly version: string;
  /** The longest pause between two beats, in ms. */
  readonly beatMs: number;
  /** What operators see besides: small, and free of secrets. */
  readonly report: () => object;
  readonly onError: (error: unknown) => void;
}

export type InstanceState = 'starting' | 'ready' | 'draining';

/** Who has missed so many beats is forgotten, by anybody's next beat. */
const GONE_BEATS = 12;
/** This part of the pause after the last beat, whoever asks the database something anyway takes the next one along. */
const DUE = 0.8;

/**
 * Says that this process is there. It decides nothing: leases do that; operators look at it.
 *
 * On Postgres, statements that come from time to time anyway carry the beat along (`rider`), so that an idle process asks the database
 * no more often for it. Where none comes, the beat goes out alone.
 */
export class Heartbeat {
  private state: InstanceState = 'starting';
  private beatAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private beating: Promise<void> = Promise.resolve();

  constructor(
    private readonly store: StateStore,
    private readonly options: HeartbeatOptions,
  ) {}

  /** Begins to beat. @throws {StoreUnavailableError} */
  async start(): Promise<void> {
    await this.beat();
    this.state = 'ready';
    this.timer = setInterval(() => {
      if (performance.now() - this.beatAt >= this.options.beatMs) void this.beatAlone();
    }, this.options.beatMs / 4).unref();
  }

  /** The parameters of a beat (`beatFrom`) for a statement to take along, if one is due. */
  rider(): readonly Param[] | undefined {
    const since = performance.now() - this.beatAt;
    const isDue = !this.stopped && this.timer !== undefined && since >= this.options.beatMs * DUE;
    return isDue && this.store.dialect === 'postgres' ? this.params() : undefined;
  }

  /** From now on it is seen to be stopping. */
  drain(): Promise<void> {
    this.state = 'draining';
    return this.beatAlone();
  }

  /** Leaves no trace: a process that ended in order is not missed. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.beating;
    await this.store.execute(forgetInstance, [this.options.instanceId]).catch(this.options.onError);
  }

  private beatAlone(): Promise<void> {
    // One after the other: a beat that hangs must not be followed by ten.
    this.beatAt = performance.now();
    this.beating = this.beating.then(() => (this.stopped ? undefined : this.beat().catch(this.options.onError)));
    return this.beating;
  }

  private async beat(): Promise<void> {
    await this.store.execute(beatInstance, this.params());
  }

  private params(): readonly Param[] {
    this.beatAt = performance.now();
    const { instanceId, app, roles, version, beatMs, report } = this.options;
    const about = [instanceId, app, JSON.stringify(roles), version, this.state, JSON.stringify(report()), beatMs];
    return [...about, GONE_BEATS];
  }
}
