/** WebSocket close codes of `tyrum-v1`. */
export const CloseCode = Object.freeze({
  Normal: 1000,
  GoingAway: 1001,
  Policy: 1008,
  TooBig: 1009,
  /** Restarting: reconnect; the reason carries a delay in milliseconds. */
  Restarting: 1012,
  /** Too slow or overloaded: reconnect later. */
  Overloaded: 1013,
  Unauthorized: 4001,
  HandshakeTimeout: 4002,
  /** A bad message, or one out of order; also the legacy `connect`. */
  BadMessage: 4003,
  SessionExpired: 4004,
  ProtocolRevMismatch: 4005,
  DeviceIdMismatch: 4006,
  InvalidProof: 4007,
  TokenBoundToOtherDevice: 4008,
} as const);
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

const FINAL: ReadonlySet<number> = new Set([
  CloseCode.ProtocolRevMismatch,
  CloseCode.DeviceIdMismatch,
  CloseCode.InvalidProof,
  CloseCode.TokenBoundToOtherDevice,
]);

/** Whether reconnecting cannot help. After every other code a client reconnects, with jitter. */
export function isFinalCloseCode(code: number): boolean {
  return FINAL.has(code);
}

/** The delay a `Restarting` close asks for, in milliseconds within 0…`maxMs`; `undefined` when the reason holds none. */
export function restartDelayMs(reason: string, maxMs: number): number | undefined {
  return /^\d{1,9}$/.test(reason) ? Math.min(Number(reason), maxMs) : undefined;
}
