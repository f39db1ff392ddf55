import type { Position } from './outbox-event';

const FORM = /^([0-9a-f]{32})\.(\d{1,20})\.(\d{1,19})(?:\.([1-9]\d{0,3}))?$/;
/** The longest text FORM takes, in base64url. */
const MAX_CURSOR_LENGTH = 104;
const MAX_XID = 2n ** 64n - 1n;
const MAX_ID = 2n ** 63n - 1n;

/** A position as the opaque text clients keep. */
export function encodePosition({ epoch, xid, id, taken }: Position): string {
  const part = taken === undefined ? '' : `.${taken}`;
  return Buffer.from(`${epoch}.${xid}.${id}${part}`).toString('base64url');
}

/** The position a client's text stands for, or undefined when it is none of ours. */
export function decodePosition(cursor: string): Position | undefined {
  if (cursor.length > MAX_CURSOR_LENGTH) return undefined;
  const match = FORM.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (!match) return undefined;
  const [, epoch = '', xid = '', id = '', taken] = match;
  // The database would refuse larger numbers, and base64url has several texts for the same bytes: only ours is taken.
  if (BigInt(xid) > MAX_XID || BigInt(id) > MAX_ID) return undefined;
  const row = { epoch, xid: BigInt(xid).toString(), id: BigInt(id).toString() };
  const position = taken === undefined ? row : { ...row, taken: Number(taken) };
  return encodePosition(position) === cursor ? position : undefined;
}

/** Whether `a` lies after `b`; both are of one epoch. */
export function comesAfter(a: Position, b: Position): boolean {
  const [ax, bx] = [BigInt(a.xid), BigInt(b.xid)];
  if (ax !== bx) return ax > bx;
  const [ai, bi] = [BigInt(a.id), BigInt(b.id)];
  if (ai !== bi) return ai > bi;
  return (a.taken ?? Infinity) > (b.taken ?? Infinity);
}

/** The nearest place between two rows that lies not after a position: what the database knows of places. */
export function betweenRows({ epoch, xid, id, taken }: Position): Position {
  return { epoch, xid, id: taken === undefined ? id : (BigInt(id) - 1n).toString() };
}
