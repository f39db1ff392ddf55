import { ContractError, isConversationKey } from '@tyrum/protocol';

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
  try {
    const [updatedAt, conversationKey] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[];
    if (Number.isSafeInteger(updatedAt) && isConversationKey(conversationKey)) {
      return { updatedAt: updatedAt as number, conversationKey };
    }
  } catch {
    // Not JSON, or no list: the same as any other text that is not ours.
  }
  throw ContractError.at(field, 'cursor', 'is not a cursor of this list');
}
