import { noteAudit, type AuditNote } from '@tyrum/evidence';
import type { StateStore } from '@tyrum/statestore';

/** Puts what was done and the note of it into one commit, where who does it opens the transaction itself. */
export class Audited {
  constructor(private readonly store: StateStore) {}

  /** @param work its transactions are savepoints of ours @param notesOf what it came to, for the audit */
  run<T>(work: () => Promise<T>, notesOf: (done: T) => readonly AuditNote[]): Promise<T> {
    return this.store.transaction(async (tx) => {
      const done = await work();
      await noteAudit(tx, notesOf(done));
      return done;
    });
  }

  /** Notes what changed nothing in the database. */
  note(note: AuditNote): Promise<void> {
    return this.run(
      () => Promise.resolve(),
      () => [note],
    );
  }
}
