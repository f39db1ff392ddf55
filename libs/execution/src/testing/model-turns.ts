/** What a turn model keeps, as plain data: the same that lies in the database, under small numbers instead of ids. */

export const CONVERSATIONS = ['agent:default:x:dm:a', 'agent:default:x:dm:b', 'agent:default:x:dm:child'] as const;
export type Key = (typeof CONVERSATIONS)[number];
/** Only turns start others here, and nothing limits its queue. */
export const CHILDREN: Key = CONVERSATIONS[2];

export type Owner = 'p' | 'q';
export type Mode = 'followup' | 'collect' | 'steer' | 'steer_backlog' | 'interrupt';
/** `quick`: a step that only reads and is answered at once. */
export type Planned = 'quick' | 'read' | 'idempotent' | 'once';
export type Status = 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';

export interface ModelStep {
  readonly does: Planned | 'model';
  status: Status;
  attempts: number;
  /** What a model call came to. */
  asks: boolean;
}

export interface ModelWait {
  readonly kind: 'timer' | 'manual' | 'signal' | 'turn';
  /** The signal's name or the child's number. */
  readonly id: string;
  readonly timed: boolean;
}

export interface ModelTurn {
  readonly name: number;
  readonly key: Key;
  readonly kind: 'workflow' | 'chat';
  readonly plan: readonly Planned[];
  readonly parent: ModelTurn | undefined;
  readonly origin: ModelTurn | undefined;
  status: Status;
  attempt: number;
  steps: ModelStep[];
  wait: ModelWait | undefined;
  cancelRequested: boolean;
  deliveredTo: ModelTurn | undefined;
  deliveredStep: number | null;
  dead: { readonly attempts: number; redrivenAs: number | null } | undefined;
}

export interface ModelConversation {
  readonly key: Key;
  state: 'idle' | 'ready' | 'leased' | 'parked';
  /** Whether its time has come; of a lease: whether it has run out. */
  due: boolean;
  owner: Owner | null;
  token: number;
  takeovers: number;
  mode: Mode;
  cap: number | null;
  overflow: 'reject' | 'drop_oldest';
  readonly events: string[];
}

/** What somebody waits for, what has arrived, or both. */
export interface ModelArrival {
  waiter: ModelTurn | undefined;
  /** Whether what arrived is a success; undefined while nothing has. */
  arrived: boolean | undefined;
}

export function newTurn(about: Pick<ModelTurn, 'name' | 'key' | 'kind' | 'plan' | 'parent' | 'origin'>): ModelTurn {
  return {
    ...about,
    status: 'queued',
    attempt: 1,
    steps: [],
    wait: undefined,
    cancelRequested: false,
    deliveredTo: undefined,
    deliveredStep: null,
    dead: undefined,
  };
}

export function isEnded({ status }: { readonly status: Status }): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled';
}

export type ModelMove =
  | { readonly kind: 'step'; readonly step: ModelStep }
  | { readonly kind: 'finish'; readonly status: 'succeeded' | 'failed' };

/** What comes after a turn's steps, all of which are settled. */
export function nextMove({ kind, plan, steps }: ModelTurn): ModelMove {
  const intent = (does: ModelStep['does']): ModelMove => ({
    kind: 'step',
    step: { does, status: 'running', attempts: 1, asks: false },
  });
  if (kind === 'workflow') {
    if (steps.some(({ status }) => status === 'failed')) return { kind: 'finish', status: 'failed' };
    const does = plan[steps.length];
    return does ? intent(does) : { kind: 'finish', status: 'succeeded' };
  }
  const last = steps.at(-1);
  if (!last || last.does !== 'model') return intent('model');
  if (last.status === 'failed') return { kind: 'finish', status: 'failed' };
  return last.asks ? intent('once') : { kind: 'finish', status: 'succeeded' };
}
