import type { IdempotencyKey, IdempotencyLedger } from '@tyrum/idempotency';
import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import { WireError } from '@tyrum/protocol';
import { KeyReusedError } from '../failures';

/** The name of a request, and who makes it, for the audit. */
export interface RequestKey extends IdempotencyKey {
  readonly actor: string;
}

/** A caller as the audit names it. */
export function actorOf({ tokenId }: { readonly tokenId: string }): string {
  return `token:${tokenId}`;
}

/** An answer, and whether an earlier copy of the request earned it. */
export interface Answered<T> {
  readonly answer: T;
  readonly replayed: boolean;
}

/**
 * Does what a request asks for once, however often it comes. Only outcomes that are kept are replayed: a refusal wrote
 * nothing, and asking again finds out anew.
 */
export class Once {
  constructor(
    private readonly store: StateStore,
    private readonly ledger: IdempotencyLedger,
  ) {}

  /**
   * Runs `work` and keeps its answer in one transaction. What `work` throws undoes both.
   * @param request with `conversations`: those `work` writes to
   * @throws {KeyReusedError}
   */
  async run<T extends object>(
    request: IdempotencyKey & { readonly conversations?: readonly ConversationRef[] },
    work: (tx: Tx) => Promise<T>,
  ): Promise<Answered<T>> {
    const outcome = await this.ledger.runOnce(this.store, request, work);
    if (outcome.kind === 'conflict') throw new KeyReusedError();
    return { answer: outcome.response, replayed: outcome.replayed };
  }

  /**
   * For what looks at something before it takes the key. An earlier copy of the request may have found what is gone by now: instead
   * of `not_found`, a later one gets its answer.
   * @throws {KeyReusedError}
   */
  async orReplayed<T extends object>(request: IdempotencyKey, work: () => Promise<Answered<T>>): Promise<Answered<T>> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof WireError) || error.code !== 'not_found') throw error;
      const earlier = await this.earlier<T>(request);
      if (!earlier) throw error;
      return earlier;
    }
  }

  /** Whether a request came under this name before, whatever it asked for. */
  async isKnown(request: IdempotencyKey): Promise<boolean> {
    return (await this.ledger.find(this.store, request)) !== undefined;
  }

  /** What an earlier copy of the request was answered; undefined when none was. @throws {KeyReusedError} */
  async earlier<T extends object>(request: IdempotencyKey): Promise<Answered<T> | undefined> {
    const found = await this.ledger.find(this.store, request);
    if (found?.kind === 'conflict') throw new KeyReusedError();
    return found && { answer: JSON.parse(found.response) as T, replayed: true };
  }
}
