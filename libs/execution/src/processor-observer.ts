/** What the turn processor tells whoever measures and logs it. Every method returns at once and never throws. */
export interface ProcessorObserver {
  conversationsClaimed(count: number, takenOver: number): void;
  stepSettled(step: { type: string; outcome: string; durationMs: number }): void;
  turnSettled(turn: { turnId: string; conversationKey: string; status: string }): void;
  /** A write came back refused: somebody else holds the conversation. Nothing was written. */
  writeFenced(lease: { conversationKey: string; token: number }): void;
  /** Renewals did not come through in time, or the database says that somebody else holds the conversation. */
  leaseLost(lease: { conversationKey: string; token: number }): void;
  /** Something failed that is tried again; `what` is a stable name. */
  trouble(what: string, error: unknown): void;
}
