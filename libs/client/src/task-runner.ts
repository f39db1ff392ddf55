import {
  isJsonObject,
  WireError,
  type EffectClass,
  type JsonObject,
  type JsonValue,
  type RequestEnvelope,
} from '@tyrum/protocol';
import type { Clock } from './clock';
import type { DispatchJournal, TaskAnswer } from './dispatch-journal';

/** What a node is asked to do. */
export interface CapabilityTask {
  /** Names this attempt: a receiver that takes an idempotency key gets this one. */
  readonly dispatchId: string;
  readonly turnId?: string;
  /** The last part of an operation, where the capability offers a family of them: `click`. */
  readonly op?: string;
  readonly args: JsonObject;
  /** Aborts at the deadline (`args.timeout_ms`), when the turn is cancelled, when the pairing ends, and when the node is closed. */
  readonly signal: AbortSignal;
  /** Sends what was seen while it runs (`attempt.evidence`), kept with the turn. @throws {WireError} the gateway's answer */
  evidence(evidence: JsonValue): Promise<void>;
}

export interface Capability {
  /** `tyrum.<family>.<action>`, or the family alone for all of its operations. */
  readonly id: string;
  readonly version: string;
  /** What may be done after a crash, where the action does not say so itself (`args.effect`); `once` when absent. */
  readonly effect?: EffectClass;
  /**
   * Carries it out. What it returns is the step's output. A {WireError} is the error answered; of any other error the gateway
   * is told nothing but that there was one.
   */
  run(task: CapabilityTask): Promise<JsonValue | undefined>;
}

export interface TaskRunnerParts {
  readonly journal: DispatchJournal;
  readonly maxConcurrent: number;
  /** How many may wait for one of those places. */
  readonly maxWaiting: number;
  readonly clock: Clock;
  sendEvidence(payload: JsonObject, requestId: string): Promise<void>;
  trouble(error: unknown, dispatchId: string): void;
}

/** One order of the gateway. */
interface Order {
  readonly dispatchId: string;
  readonly turnId?: string;
  readonly capability: Capability;
  readonly op?: string;
  readonly args: JsonObject;
  readonly effect: EffectClass;
}

const FAMILY: Readonly<Record<string, string>> = { Desktop: 'tyrum.desktop', Browser: 'tyrum.browser' };

/**
 * Does what the gateway asks a node, and nothing twice under one dispatch id: a copy of what is under way waits for it, what
 * has ended is answered again, and what an earlier process began and did not end is run again if that does no harm, or
 * answered as unknown.
 */
export class TaskRunner {
  private readonly running = new Map<string, Promise<TaskAnswer>>();
  private readonly cancels = new Map<string, AbortController>();
  private readonly waiting: (() => void)[] = [];
  private readonly stopping = new AbortController();
  private active = 0;

  constructor(
    private readonly capabilities: readonly Capability[],
    private readonly parts: TaskRunnerParts,
  ) {}

  /** The answer to `task.execute`. @throws {WireError} the error to answer */
  async execute(request: RequestEnvelope): Promise<JsonValue> {
    const order = this.read(request);
    const { dispatchId } = order;
    const known = this.running.get(dispatchId) ?? this.begin(order);
    this.running.set(dispatchId, known);
    const answer = await known;
    if (answer.ok) return { ...answer.result };
    throw new WireError(answer.error.code, answer.error.message, answer.error.details);
  }

  /**
   * Aborts one action, or takes it back while it waits for its place. What was begun ends like any that is told to stop: of a
   * `once` action nobody knows how far it came. False: it is not under way.
   */
  cancel(dispatchId: string, reason: string): boolean {
    const cancel = this.cancels.get(dispatchId);
    cancel?.abort(new WireError('conflict', `it was cancelled: ${reason}`));
    return cancel !== undefined;
  }

  /** Aborts what runs; nothing more is begun. */
  stop(reason: string): void {
    this.stopping.abort(new WireError('internal', reason));
    for (const go of this.waiting.splice(0)) go();
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled(this.running.values());
  }

  private begin(order: Order): Promise<TaskAnswer> {
    const cancel = new AbortController();
    this.cancels.set(order.dispatchId, cancel);
    return this.run(order, cancel.signal).finally(() => {
      this.running.delete(order.dispatchId);
      this.cancels.delete(order.dispatchId);
    });
  }

  private async run(order: Order, cancelled: AbortSignal): Promise<TaskAnswer> {
    const { journal } = this.parts;
    const { dispatchId, effect } = order;
    const entry = await this.noting(dispatchId, journal.find(dispatchId));
    if (entry?.state === 'ended') return entry.answer;
    if (entry && effect === 'once') {
      return failure(new WireError('conflict', 'it was begun before this node stopped, and has no end', UNKNOWN));
    }
    const leave = await this.enter();
    try {
      // Nothing of it has happened, and the answer says so: no unknown outcome.
      if (cancelled.aborted) return failure(cancelled.reason as WireError);
      // What only reads may run again whatever became of it: its beginning need not be known.
      if (effect !== 'read') await this.noting(dispatchId, journal.begin(dispatchId));
      const answer = await this.attempt(order, cancelled);
      // An end that cannot be kept is the end all the same; asked again after a crash, it is unknown.
      await journal.end(dispatchId, answer).catch((error: unknown) => this.parts.trouble(error, dispatchId));
      return answer;
    } finally {
      leave();
    }
  }

  /** @throws {WireError} overloaded when the journal fails: it was not begun, and the gateway may ask again */
  private async noting<T>(dispatchId: string, noted: Promise<T>): Promise<T> {
    try {
      return await noted;
    } catch (error) {
      this.parts.trouble(error, dispatchId);
      throw new WireError('overloaded', 'the journal of the node cannot be used');
    }
  }

  private async attempt(order: Order, cancelled: AbortSignal): Promise<TaskAnswer> {
    const { dispatchId, turnId, op, args, capability, effect } = order;
    const ending = new AbortController();
    const stop = (): void => ending.abort(this.stopping.signal.reason);
    this.stopping.signal.addEventListener('abort', stop, { once: true });
    // It may have come while the beginning was noted.
    const cancel = (): void => ending.abort(cancelled.reason);
    if (cancelled.aborted) cancel();
    cancelled.addEventListener('abort', cancel, { once: true });
    const deadlineMs = typeof args['timeout_ms'] === 'number' ? args['timeout_ms'] : undefined;
    const cancelTimer =
      deadlineMs === undefined
        ? () => undefined
        : this.parts.clock.after(deadlineMs, () =>
            ending.abort(new WireError('internal', `it was not done within ${deadlineMs} ms`)),
          );
    const aborted = new Promise<never>((_, reject) =>
      ending.signal.addEventListener('abort', () => reject(ending.signal.reason as Error), { once: true }),
    );
    aborted.catch(() => undefined);
    const task = {
      dispatchId,
      args,
      signal: ending.signal,
      ...(turnId === undefined ? {} : { turnId }),
      ...(op === undefined ? {} : { op }),
      evidence: this.evidenceOf(order),
    };
    try {
      const result = await Promise.race([capability.run(task), aborted]);
      return { ok: true, result: result === undefined ? {} : { result } };
    } catch (error) {
      // Whoever was told to stop may have stopped anywhere.
      if (ending.signal.aborted) {
        const { code, message } = ending.signal.reason as WireError;
        return failure(new WireError(code, message, effect === 'once' ? UNKNOWN : undefined));
      }
      if (error instanceof WireError) return failure(error);
      this.parts.trouble(error, dispatchId);
      return failure(new WireError('internal', `${capability.id} failed`));
    } finally {
      cancelTimer();
      this.stopping.signal.removeEventListener('abort', stop);
    }
  }

  /** Under ids that follow from the dispatch: sent again by a second try, a piece of evidence is the same one. */
  private evidenceOf({ dispatchId, turnId }: Order): (evidence: JsonValue) => Promise<void> {
    let count = 0;
    return (evidence) => {
      count += 1;
      const about = { dispatch_id: dispatchId, ...(turnId === undefined ? {} : { turn_id: turnId }) };
      return this.parts.sendEvidence({ ...about, evidence }, `${dispatchId}/evidence/${count}`);
    };
  }

  /** Waits for a place. @throws {WireError} overloaded: it was not begun */
  private async enter(): Promise<() => void> {
    if (this.active >= this.parts.maxConcurrent) {
      if (this.waiting.length >= this.parts.maxWaiting) throw new WireError('overloaded', 'the node is busy');
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    if (this.stopping.signal.aborted) throw new WireError('overloaded', 'the node is stopping');
    this.active += 1;
    return () => {
      this.active -= 1;
      this.waiting.shift()?.();
    };
  }

  private read({ payload }: RequestEnvelope): Order {
    const { dispatch_id: dispatchId, turn_id: turnId, action } = payload;
    if (typeof dispatchId !== 'string' || !isJsonObject(action) || !isJsonObject(action['args'])) {
      throw new WireError('contract_error', 'task.execute names a dispatch_id and an action with args');
    }
    const { args, type } = action as { args: JsonObject; type: JsonValue };
    const family = FAMILY[String(type)] ?? String(args['capability']);
    const op = typeof args['op'] === 'string' ? args['op'] : undefined;
    const ids = op === undefined ? [family] : [`${family}.${op}`, family];
    const capability = ids.map((id) => this.capabilities.find((one) => one.id === id)).find((one) => one !== undefined);
    if (!capability) throw new WireError('not_found', `this node has no ${ids[0]}`);
    const effect = EFFECTS.find((one) => one === args['effect']) ?? capability.effect ?? 'once';
    const names = { ...(typeof turnId === 'string' ? { turnId } : {}), ...(op === undefined ? {} : { op }) };
    return { dispatchId, capability, args, effect, ...names };
  }
}

const EFFECTS = ['read', 'idempotent', 'once'] as const satisfies readonly EffectClass[];
/** How an answer says that nobody knows whether it happened: the turn then waits for an operator. */
const UNKNOWN = Object.freeze({ outcome: 'unknown' });

function failure(error: WireError): TaskAnswer {
  return { ok: false, error: error.toBody() };
}
