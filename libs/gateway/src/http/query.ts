import {
  ContractError,
  isConversationKey,
  isSecretKey,
  isUuid,
  ROUTES,
  validatePayload,
  type QueryFields,
  type QueryKind,
} from '@tyrum/protocol';

type Query = Readonly<Record<string, unknown>>;

type RouteWithQuery = {
  [R in keyof typeof ROUTES]: (typeof ROUTES)[R] extends { query: object } ? R : never;
}[keyof typeof ROUTES];
type QueryPayload<R extends RouteWithQuery> = InstanceType<(typeof ROUTES)[R]['query']['payload']>;

/**
 * The query string of a route as its payload class, so that one contract holds for both doors.
 * @throws {ContractError} with fields under `query`
 */
export function readQuery<R extends RouteWithQuery>(route: R, query: Query): QueryPayload<R> {
  const { payload: cls, fields }: { payload: new () => object; fields: QueryFields } = ROUTES[route].query;
  const payload: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    payload[field?.as ?? name] = field ? convert(value, field.kind) : value;
  }
  try {
    return validatePayload(cls, payload, 'query') as QueryPayload<R>;
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

function convert(value: unknown, kind: QueryKind): unknown {
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

/** The key of a secret in the path. @throws {ContractError} */
export function secretKeyParam(value: string): string {
  if (!isSecretKey(value)) throw ContractError.at('key', 'secretKey', 'is not the key of a secret');
  return value;
}
