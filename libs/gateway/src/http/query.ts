import { ContractError, isConversationKey, isUuid, validatePayload, type PayloadClass } from '@tyrum/protocol';

type Query = Readonly<Record<string, unknown>>;

/** How a query parameter becomes the field of a payload: as it is, as a number, as a flag, as a list. */
export type QueryField = 'text' | 'number' | 'flag' | 'list';

/**
 * A query string as a payload class, so that one contract holds for both doors. A list is repeated or has commas.
 * @param fields the parameters the route takes; with `as` where the payload's field has another name
 * @throws {ContractError} with fields under `query`
 */
export function readQuery<T extends object>(
  cls: PayloadClass<T>,
  query: Query,
  fields: Readonly<Record<string, { readonly kind: QueryField; readonly as?: string }>>,
): T {
  const payload: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    payload[field?.as ?? name] = field ? convert(value, field.kind) : value;
  }
  return validatePayload(cls, payload, 'query');
}

function convert(value: unknown, kind: QueryField): unknown {
  if (kind === 'list') return [value].flat().flatMap((text) => (typeof text === 'string' ? text.split(',') : [text]));
  if (typeof value !== 'string') return value;
  if (kind === 'number') return /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (kind === 'flag') return value === 'true' ? true : value === 'false' ? false : value;
  return value;
}

/** A UUID of the path. @throws {ContractError} */
export function uuidParam(value: string, name = 'id'): string {
  if (!isUuid(value)) throw ContractError.at(name, 'isUuid', 'must be a UUID in lower case');
  return value;
}

/** A conversation key of the path. @throws {ContractError} */
export function conversationKeyParam(value: string): string {
  if (!isConversationKey(value)) throw ContractError.at('key', 'conversationKey', 'is not a conversation key');
  return value;
}
