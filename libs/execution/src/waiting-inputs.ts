import { StoreUnavailableError } from '@tyrum/statestore';
import type { ClaimedConversation, OpenTurn, TurnRow } from '@tyrum/statestore/turns';
import type { Continuation, Inputs } from './continuation';
import type { ProcessorObserver } from './processor-observer';
import { actionOf } from './parsed-rows';
import type { TurnWriter } from './turn-writer';

/** Which of a conversation's waiting inputs a turn takes, by the conversation's mode. See `InputQueue` for the modes. */
export class WaitingInputs {
  constructor(
    private readonly conversation: ClaimedConversation,
    private readonly ports: { readonly writer: TurnWriter; readonly observer: ProcessorObserver },
  ) {}

  /** In mode `collect`, a reply that starts takes the inputs that wait behind it. */
  async collected({ turn }: OpenTurn): Promise<{ inputs?: Inputs }> {
    if (this.conversation.queueMode !== 'collect' || turn.kind !== 'chat') return {};
    const turns = (await this.look()).filter(({ turn_id }) => turn_id !== turn.turn_id);
    return turns.length > 0 ? { inputs: { turns, to: turn.turn_id, step: null, settle: true } } : {};
  }

  /** In the modes that steer, a reply takes them before its next model call. */
  async steered(turn: TurnRow, { step }: Continuation): Promise<{ inputs?: Inputs }> {
    const steers = this.conversation.queueMode === 'steer' || this.conversation.queueMode === 'steer_backlog';
    if (!steers || turn.kind !== 'chat' || !step || actionOf(step).type !== 'Llm') return {};
    const turns = await this.look();
    const settle = this.conversation.queueMode === 'steer';
    return turns.length > 0 ? { inputs: { turns, to: turn.turn_id, step: step.step_index, settle } } : {};
  }

  /** A database that is away for a moment makes followups of them, nothing worse. */
  private async look(): Promise<TurnRow[]> {
    try {
      return await this.ports.writer.waitingInputs(this.conversation);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      this.ports.observer.trouble('inputs', error);
      return [];
    }
  }
}
