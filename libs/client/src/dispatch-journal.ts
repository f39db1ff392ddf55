import type { JsonValue, WireErrorBody } from '@tyrum/protocol';

/** How an action ended, as the gateway is told. */
export type TaskAnswer =
  | { readonly ok: true; readonly result: { readonly result?: JsonValue; readonly evidence?: JsonValue } }
  | { readonly ok: false; readonly error: WireErrorBody };

/** What is known of a dispatch: that it was begun, or how it ended. */
export type JournalEntry = { readonly state: 'begun' } | { readonly state: 'ended'; readonly answer: TaskAnswer };

/**
 * A node's memory of what it was asked. A dispatch's id names one attempt of one step, and the gateway sends it again under the
 * same id when it does not know whether it arrived; with a journal a node does nothing twice under one id.
 *
 *     (nothing) ──begin──▶ begun ──run, then end──▶ ended
 *                            └── the process died: what was begun may have had its effect
 *
 * A promise that is resolved is kept: what `durable` says of a journal has to hold for a machine that loses its power.
 */
export interface DispatchJournal {
  /** `memory`: it ends with the process. */
  readonly kind: 'durable' | 'memory';
  /** Another instance knows nothing of what this one was asked. */
  readonly instance: string;
  find(dispatchId: string): Promise<JournalEntry | undefined>;
  begin(dispatchId: string): Promise<void>;
  end(dispatchId: string, answer: TaskAnswer): Promise<void>;
}

const DEFAULT_MAX_ENTRIES = 1_000;

/** A journal that lives as long as this process, and forgets the oldest of what has ended beyond `maxEntries`. */
export class MemoryDispatchJournal implements DispatchJournal {
  readonly kind = 'memory';
  private readonly entries = new Map<string, JournalEntry>();

  constructor(
    readonly instance: string = globalThis.crypto.randomUUID(),
    private readonly maxEntries: number = DEFAULT_MAX_ENTRIES,
  ) {}

  find(dispatchId: string): Promise<JournalEntry | undefined> {
    return Promise.resolve(this.entries.get(dispatchId));
  }

  begin(dispatchId: string): Promise<void> {
    this.entries.set(dispatchId, { state: 'begun' });
    return Promise.resolve();
  }

  end(dispatchId: string, answer: TaskAnswer): Promise<void> {
    // Set anew, so that it is the youngest.
    this.entries.delete(dispatchId);
    this.entries.set(dispatchId, { state: 'ended', answer });
    for (const [id, { state }] of this.entries) {
      if (this.entries.size <= this.maxEntries) break;
      if (state === 'ended') this.entries.delete(id);
    }
    return Promise.resolve();
  }
}
