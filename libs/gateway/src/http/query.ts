import { ContractError, isConversationKey, isUuid, validatePayload, type PayloadClass } from '@tyrum/protocol';

type Query = Readonly<Record<string, unknown>>;

/** How a query parameter becomes the field of a payload: as it is, as a number, as a flag, as a list. */
export type QueryField = 'text' | 'number' | 'flag' | 'list';

type QueryFields = Readonly<Record<string, { readonly kind: QueryField; readonly as?: string }>>;

/**
 * A query string as a payload class, so that one contract holds for both doors. A list is repeated or has commas.
 * @param fields the parameters the route takes; with `as` where the payload's field has another name
 * @throws {ContractError} with fields under `query`
 */
export function readQuery<T extends object>(cls: PayloadClass<T>, query: Query, fields: QueryFields): T {
  const payload: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    payload[field?.as ?? name] = field ? convert(value, field.kind) : value;
  }
  try {
    return validatePayload(cls, payload, 'query');
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    throw inTermsOfTheQuery(error, fields);
  }
}

/** The caller wrote `status` and should not read about `statuses`. */
function inTermsOfTheQuery(error: ContractError, fields: QueryFields): ContractError {
  const names = new Map(Object.entries(fields).map(([name, { as }]) => [`query.${as ?? name}`, `query.${name}`]));
  const details = error.details.map((violation) => ({
    ...violation,
    field: names.get(violation.field) ?? violation.field,
  }));
  const [first] = details;
  return new ContractError(first ? `${first.field}: ${first.message}` : error.message, details);
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
