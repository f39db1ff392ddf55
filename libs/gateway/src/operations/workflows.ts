import type { Backplane } from '@tyrum/backplane';
import { noteAudit } from '@tyrum/evidence';
import {
  arriveIn,
  signalTo,
  type ArriveOutcome,
  type OpenStepDecision,
  type Resolution,
  type TurnControl,
  type TurnIntake,
  type TurnRedrive,
} from '@tyrum/execution';
import type { IdempotencyKey } from '@tyrum/idempotency';
import {
  requireEnforceable,
  requireExecutable,
  WireError,
  type AuditType,
  type TurnResolveBody,
  type TurnSignalBody,
  type WorkflowStartPayload,
  type WorkflowStartResult,
} from '@tyrum/protocol';
import type { StateStore, Tx } from '@tyrum/statestore';
import type { TurnRow, TurnStore } from '@tyrum/statestore/turns';
import { notFound } from '../failures';
import type { GatewayMetrics } from '../gateway-metrics';
import { accept } from './accept';
import type { Answered, Once, RequestKey } from './once';

export interface WorkflowPorts {
  readonly store: StateStore;
  readonly turns: TurnStore;
  readonly intake: TurnIntake;
  readonly control: TurnControl;
  readonly redrives: TurnRedrive;
  readonly backplane: Backplane;
  readonly once: Once;
  readonly metrics: GatewayMetrics;
  /** Whether money can be counted here. */
  readonly knowsPrice: boolean;
}

/** What a cancellation came to. `cancelled` is false when the turn had ended before. */
export interface Cancelled {
  readonly turnId: string;
  readonly cancelled: boolean;
}

/** Starts, cancels and settles workflows, for the WebSocket and for HTTP alike. */
export class Workflows {
  constructor(
    private readonly ports: WorkflowPorts,
    private readonly newId: () => string,
  ) {}

  /**
   * Accepts a workflow; answers after its commit. Steps that nobody here executes are refused now and not later.
   * @param field where the payload stands, for the error
   * @throws {ContractError} @throws {KeyReusedError} @throws {OverloadedError} @throws {StoreUnavailableError} @throws {UnknownCommitError}
   */
  async start(
    key: IdempotencyKey,
    payload: WorkflowStartPayload,
    field: string,
  ): Promise<Answered<WorkflowStartResult>> {
    requireExecutable(payload.steps, `${field}.steps`);
    requireEnforceable(payload.budgets, `${field}.budgets`, this.ports);
    const turnId = this.newId();
    const answer: WorkflowStartResult = {
      workflow_run_id: turnId,
      plan_id: payload.plan_id ?? turnId,
      request_id: payload.request_id ?? key.key,
      conversation_key: payload.conversation_key,
      steps_count: payload.steps.length,
    };
    return accept(this.ports, {
      tenantId: key.tenantId,
      conversationKey: payload.conversation_key,
      turnId,
      kind: 'workflow',
      triggerKind: 'workflow',
      input: { steps: payload.steps },
      ...(payload.budgets ? { budgets: payload.budgets } : {}),
      idempotency: key,
      answer,
    });
  }

  /** @throws {WireError} not_found @throws {KeyReusedError} */
  async cancel(key: RequestKey, turnId: string, reason: string | undefined): Promise<Answered<Cancelled>> {
    const done = await this.onTurn(key, turnId, async (tx, found) => {
      const outcome = await this.ports.control.cancelIn(tx, found, reason ?? null);
      if (outcome === 'not_found') throw notFound('turn');
      if (outcome === 'cancelled') await noteAudit(tx, [about('turn.cancelled', key, turnId)]);
      return { turnId, cancelled: outcome === 'cancelled' };
    });
    // A hint for the worker that runs it; it also finds the wish in the database at its next renewal.
    this.ports.backplane.publish('cancel', turnId);
    this.ports.control.wake();
    return done;
  }

  /**
   * Settles the step of unknown outcome that a turn is parked for.
   * @throws {WireError} not_found; conflict when the turn is not parked, or waits for another step than `stepIndex`
   */
  async resolve(
    key: RequestKey,
    turnId: string,
    resolution: Resolution & { readonly stepIndex?: number },
  ): Promise<Answered<{ turn_id: string; decision: string }>> {
    const done = await this.onTurn(key, turnId, async (tx, found) => {
      const step = (await this.ports.turns.steps(tx, key.tenantId, turnId)).at(-1);
      const outcome = await this.ports.control.resolveIn(tx, found, resolution);
      if (outcome.kind === 'not_found') throw notFound('turn');
      if (outcome.kind === 'not_parked') {
        throw new WireError('conflict', `the turn is ${outcome.status} and waits for no such decision`);
      }
      if (resolution.stepIndex !== undefined && resolution.stepIndex !== step?.step_index) {
        throw new WireError('conflict', `the turn waits for step ${step?.step_index ?? 'none'}`);
      }
      const detail = { decision: resolution.decision, step_index: step?.step_index ?? null };
      await noteAudit(tx, [{ ...about('turn.resolved', key, turnId), detail }]);
      return { turn_id: turnId, decision: resolution.decision };
    });
    this.ports.control.wake();
    return done;
  }

  /**
   * Brings a dead turn back as a new one that goes on at its first step without a result.
   * @throws {WireError} not_found; conflict when it is not dead, was redriven, or its last step needs a decision
   */
  async redrive(
    key: RequestKey,
    turnId: string,
    decision: OpenStepDecision | undefined,
  ): Promise<Answered<{ turn_id: string; redrive_of: string }>> {
    const done = await this.onTurn(key, turnId, async (tx, found) => {
      const outcome = await this.ports.redrives.redriveIn(tx, found, decision);
      switch (outcome.kind) {
        case 'redriven':
          await noteAudit(tx, [
            {
              ...about('turn.redriven', key, turnId),
              detail: { redriven_as: outcome.turnId, decision: decision ?? null },
            },
          ]);
          return { turn_id: outcome.turnId, redrive_of: turnId };
        case 'not_dead':
          throw new WireError('conflict', `the turn is ${found.status} and not among the dead`);
        case 'already_redriven':
          throw new WireError('conflict', `the turn was redriven as ${outcome.turnId}`);
        case 'undecided':
          throw new WireError(
            'conflict',
            `step ${outcome.stepIndex} may have had its effect: decide \`retry\` or \`done\``,
          );
      }
    });
    this.ports.control.wake();
    return done;
  }

  /**
   * Tells a turn that something has happened. `ready`: it waited for it and goes on; `kept`: it will find it when it comes to
   * wait; `already`: it was told before, and the first time counts.
   * @throws {WireError} not_found; conflict when the turn has ended
   */
  async signal(
    key: IdempotencyKey,
    turnId: string,
    { name, result = {} }: TurnSignalBody,
  ): Promise<Answered<{ turn_id: string; name: string; outcome: ArriveOutcome }>> {
    const done = await this.onTurn(key, turnId, async (tx) => {
      const turn = await this.ports.turns.find(tx, key.tenantId, turnId);
      if (!turn) throw notFound('turn');
      if (turn.finished_at !== null) throw new WireError('conflict', `the turn has ${turn.status}`);
      const arrival = { ...signalTo(key.tenantId, turnId, name), outcome: { kind: 'succeeded', result } as const };
      const outcome = await arriveIn(tx, this.ports.turns, arrival, [refOf(turn)]);
      return { turn_id: turnId, name, outcome };
    });
    this.ports.control.wake();
    return done;
  }

  /** Does something to a turn, once. */
  private onTurn<T extends object>(
    key: IdempotencyKey,
    turnId: string,
    work: (tx: Tx, found: TurnRow) => Promise<T>,
  ): Promise<Answered<T>> {
    const { once } = this.ports;
    return once.orReplayed(key, async () => {
      const found = await this.find(key.tenantId, turnId);
      return once.run({ ...key, conversations: [refOf(found)] }, (tx) => work(tx, found));
    });
  }

  private async find(tenantId: string, turnId: string): Promise<TurnRow> {
    const found = await this.ports.store.read((db) => this.ports.turns.find(db, tenantId, turnId));
    if (!found) throw notFound('turn');
    return found;
  }
}

function about(type: AuditType, { tenantId, actor }: RequestKey, turnId: string) {
  return { tenantId, type, actor, subject: `turn:${turnId}` };
}

function refOf(turn: TurnRow): { tenantId: string; conversationKey: string } {
  return { tenantId: turn.tenant_id, conversationKey: turn.conversation_key };
}

/** What a caller has decided about a step. @throws {WireError} invalid_request */
export function resolutionOf({
  decision,
  reason,
  result,
  step_index,
}: TurnResolveBody): Resolution & { readonly stepIndex?: number } {
  if (result !== undefined && decision !== 'done') throw new WireError('invalid_request', 'only `done` takes a result');
  return {
    decision,
    ...(reason === undefined ? {} : { reason }),
    ...(result === undefined ? {} : { result }),
    ...(step_index === undefined ? {} : { stepIndex: step_index }),
  };
}
