import { OverloadedError, QueueFullError, type AcceptRequest, type TurnIntake } from '@tyrum/execution';
import { StoreUnavailableError } from '@tyrum/statestore';
import { KeyReusedError } from '../failures';
import type { GatewayMetrics } from '../gateway-metrics';
import type { Answered } from './once';

/**
 * Accepts a turn and counts what became of it.
 * @throws {KeyReusedError} @throws {OverloadedError} @throws {QueueFullError} @throws {StoreUnavailableError}
 * @throws {UnknownCommitError}
 */
export async function accept<T extends object>(
  { intake, metrics }: { readonly intake: TurnIntake; readonly metrics: GatewayMetrics },
  request: AcceptRequest & { readonly answer: T },
): Promise<Answered<T>> {
  try {
    const outcome = await intake.accept(request);
    if (outcome.kind === 'conflict') throw new KeyReusedError();
    metrics.accepted(outcome.replayed ? 'replayed' : 'accepted');
    // What is replayed is the answer of an earlier request of the same route, and so of the same type.
    return { answer: outcome.answer as T, replayed: outcome.replayed };
  } catch (error) {
    const shed = [OverloadedError, QueueFullError, StoreUnavailableError].some((shedding) => error instanceof shedding);
    metrics.accepted(error instanceof KeyReusedError ? 'conflict' : shed ? 'overloaded' : 'failed');
    throw error;
  }
}
