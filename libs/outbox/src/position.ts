import type { Position } from './outbox-event';

const FORM = /^([0-9a-f]{32})\.(\d{1,20})\.(\d{1,19})$/;

/** A position as the opaque text clients keep. */
export function encodePosition(position: Position): string {
  return Buffer.from(`${position.epoch}.${position.xid}.${position.id}`).toString('base64url');
}

/** The position a client's text stands for, or undefined when it is none of ours. */
export function decodePosition(cursor: string): Position | undefined {
  const match = FORM.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (!match) return undefined;
  const [, epoch = '', xid = '', id = ''] = match;
  const position = { epoch, xid: BigInt(xid).toString(), id: BigInt(id).toString() };
  return encodePosition(position) === cursor ? position : undefined;
}

/** Whether `a` lies before `b`. */
export function isBefore(a: Position, b: Position): boolean {
  return BigInt(a.xid) < BigInt(b.xid) || (a.xid === b.xid && BigInt(a.id) < BigInt(b.id));
}
