import type { Tx } from '@tyrum/statestore';

/**
 * Claims in the transaction that makes work due, where who accepts it and who runs it are one process: one commit less a
 * turn, and nobody has to be woken.
 */
export interface Claimer {
  /**
   * Claims as the last of a transaction that has made so many conversations due; COMMIT may follow when this has resolved. Undefined:
   * not now, and workers are to be woken as usual.
   */
  claimIn(tx: Tx, made: number): Promise<ClaimAlong | undefined>;
}

/** One of its ends is called, whatever becomes of the transaction. */
export interface ClaimAlong {
  /** Runs what was claimed, and wakes workers if that was not all. */
  committed(): void;
  /** It was not committed, or nobody knows: then the leases run out by themselves. */
  dropped(): void;
}
