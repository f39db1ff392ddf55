import type { Action, EffectClass, StepError, StepResult } from '@tyrum/protocol';
import type { Tx } from '@tyrum/statestore';
import type { ArrivalKind, BlockedReason } from '@tyrum/statestore/turns';

/** One execution of one step, as handed to whatever can run it. */
export interface StepRequest {
  readonly tenantId: string;
  readonly conversationKey: string;
  readonly agentKey: string;
  readonly turnId: string;
  readonly stepIndex: number;
  /** 1 for the first execution; grows with every retry and takeover. */
  readonly attempt: number;
  readonly action: Action;
  /** Who decided on it. What a model has read may have told it to, whoever asked the model. */
  readonly chosenBy: 'caller' | 'model';
  readonly effect: EffectClass;
  /** The same for every attempt of the step; handed to receivers that can deduplicate. */
  readonly idempotencyKey: string;
  /** The conversation lease under which the step runs. A resource that has seen a higher one refuses this. */
  readonly fencingToken: number;
  /** The conversation so far, oldest first; read when asked, because only a model call wants it. */
  readonly transcript: () => Promise<readonly TranscriptMessage[]>;
}

/** A message as a model call wants it. */
export interface TranscriptMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly parts: readonly { readonly type: string; readonly [field: string]: unknown }[];
}

/** What an executor may use while it runs. */
export interface StepContext {
  /**
   * Aborted when the turn is cancelled or its time is up, the lease is lost or the process drains. The executor stops whatever it started
   * and returns; `reason` is one of the `AbortReason`s.
   */
  readonly signal: AbortSignal;
  /** A piece of a streamed reply, best effort: an AI SDK UI-message chunk. */
  readonly stream: (chunk: { readonly type: string; readonly [field: string]: unknown }) => void;
}

/** Why a running step was told to stop. */
export type AbortReason = 'cancelled' | 'lease_lost' | 'draining' | 'budget';

/** What belongs into the same commit as a turn's progress although it is another library's. */
export interface Alongside {
  /** Run again when the commit has to be tried again. False: then nothing of the turn's write takes place either. */
  writeIn(tx: Tx): Promise<boolean | void>;
  /** Called after the commit: whoever is to look may look now. */
  committed?(): void;
}

/** What came of one execution. */
export type StepOutcome =
  | { readonly kind: 'succeeded'; readonly result: StepResult }
  /** It ran or was refused, and what it did is known. `retryable` failures are tried again with backoff. */
  | {
      readonly kind: 'failed';
      readonly error: StepError;
      readonly result?: StepResult;
      readonly retryable: boolean;
      /** The receiver's own wish (Retry-After), in milliseconds. */
      readonly retryAfterMs?: number;
    }
  /** It was stopped through the signal before it could have an effect, or its effect is safe to have again. */
  | { readonly kind: 'interrupted' }
  /**
   * It waits for something outside, and neither worker nor lease is kept meanwhile. What arrives is the step's outcome
   * (`Waits.arrive`); when nothing has after `timeoutMs`, it fails.
   */
  | {
      readonly kind: 'waiting';
      readonly wait: {
        readonly kind: ArrivalKind;
        readonly id: string;
        readonly timeoutMs?: number;
        /** What it waits for, in words for operators. */
        readonly detail?: string;
        readonly reason?: BlockedReason;
      };
      /** What asks for that which is waited for: committed with the wait or not at all. */
      readonly alongside?: Alongside;
    }
  /** It may have had its effect. A `once` step is then parked for an operator. */
  | { readonly kind: 'unknown'; readonly detail: string };

/**
 * Runs steps of certain action types. Implemented by the tools library; called by the turn processor with the intent
 * already committed. Never throws for anything a step can do: a throw is a programmer's error and fails the turn.
 */
export interface StepExecutor {
  /** Whether this executor runs actions of that type. */
  handles(action: Action): boolean;
  execute(request: StepRequest, context: StepContext): Promise<StepOutcome>;
  /**
   * Looks whether an earlier attempt, cut off between intent and result, had its effect after all: the executor's own
   * journal or the action's postcondition. `undefined` = cannot tell.
   */
  recover?(request: StepRequest): Promise<StepOutcome | undefined>;
}
