import { ContractError, isConversationKey, isUuid } from '@tyrum/protocol';

/** Where a list of conversations goes on: after this row. */
export interface ListPlace {
  readonly updatedAt: number;
  readonly conversationKey: string;
}

/** The place as the opaque text clients hand back. */
export function encodeListCursor({ updatedAt, conversationKey }: ListPlace): string {
  return Buffer.from(JSON.stringify([updatedAt, conversationKey])).toString('base64url');
}

/** @throws {ContractError} when the text is none of ours */
export function decodeListCursor(cursor: string, field = 'payload.cursor'): ListPlace {
  const [updatedAt, conversationKey] = timeAndName(cursor, isConversationKey, field);
  return { updatedAt, conversationKey };
}

/** The place in a list by time of what is named by a UUID: turns, approvals. */
export function encodeRowCursor(at: number, id: string): string {
  return Buffer.from(JSON.stringify([at, id])).toString('base64url');
}

/** @throws {ContractError} when the text is none of ours */
export function decodeRowCursor(cursor: string, field: string): { at: number; id: string } {
  const [at, id] = timeAndName(cursor, (name) => typeof name === 'string' && isUuid(name), field);
  return { at, id };
}

function timeAndName(cursor: string, isName: (name: unknown) => boolean, field: string): [number, string] {
  try {
    const [at, name] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[];
    if (Number.isSafeInteger(at) && isName(name)) return [at as number, name as string];
  } catch {
    // Not JSON, or no list: the same as any other text that is not ours.
  }
  throw ContractError.at(field, 'cursor', 'is not a cursor of this list');
}
