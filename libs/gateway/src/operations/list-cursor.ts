import { ContractError, isConversationKey, isSecretKey, isUuid, type Page, type PageQuery } from '@tyrum/protocol';

/**
 * How the places of a list are named to clients, as opaque text.
 * `decode` @throws {ContractError} when the text is none of ours
 */
export interface PlaceCodec<T> {
  encode(place: T): string;
  decode(cursor: string, field: string): T;
}

/** A page of a list, of which one row more than asked for is read: whether there is more, that row tells. */
export async function readPage<Row, Place>(
  { limit, cursor }: PageQuery,
  { encode, decode }: PlaceCodec<Place>,
  list: {
    read(page: { readonly limit: number; readonly after?: Place }): Promise<Row[]>;
    placeOf(row: Row): Place;
  },
  field = 'query',
): Promise<{ rows: Row[]; next: Page }> {
  const after = cursor === undefined ? {} : { after: decode(cursor, `${field}.cursor`) };
  const found = await list.read({ limit: limit + 1, ...after });
  const rows = found.slice(0, limit);
  const last = found.length > limit ? rows.at(-1) : undefined;
  return { rows, next: last ? { next_cursor: encode(list.placeOf(last)) } : {} };
}

/** By time, of what is named by a UUID. */
export const BY_TIME: PlaceCodec<{ readonly at: number; readonly id: string }> = {
  encode: ({ at, id }) => encodeJson([at, id]),
  decode: (cursor, field) => {
    const [at, id] = timeAndName(cursor, (name) => typeof name === 'string' && isUuid(name), field);
    return { at, id };
  },
};

/** By time, of conversations. */
export const BY_UPDATE: PlaceCodec<{ readonly updatedAt: number; readonly conversationKey: string }> = {
  encode: ({ updatedAt, conversationKey }) => encodeJson([updatedAt, conversationKey]),
  decode: (cursor, field) => {
    const [updatedAt, conversationKey] = timeAndName(cursor, isConversationKey, field);
    return { updatedAt, conversationKey };
  },
};

/** By a number that is given out once. */
export const BY_NUMBER: PlaceCodec<number> = {
  encode: encodeJson,
  decode: (cursor, field) => decodeJson(cursor, field, (place) => Number.isSafeInteger(place)) as number,
};

/** By a kind and a name within it. */
export const BY_LEASE: PlaceCodec<{ readonly kind: string; readonly name: string }> = {
  encode: ({ kind, name }) => encodeJson([kind, name]),
  decode: (cursor, field) => {
    const isName = (text: unknown): boolean => typeof text === 'string' && !text.includes('\0');
    const isPlace = (place: unknown): boolean => Array.isArray(place) && place.length === 2 && place.every(isName);
    const [kind, name] = decodeJson(cursor, field, isPlace) as [string, string];
    return { kind, name };
  },
};

/** By a device's id. */
export const BY_DEVICE: PlaceCodec<string> = {
  encode: encodeJson,
  decode: (cursor, field) =>
    decodeJson(cursor, field, (place) => typeof place === 'string' && /^dev_[a-z2-7]{1,60}$/.test(place)) as string,
};

/** By a secret's key. */
export const BY_SECRET: PlaceCodec<string> = {
  encode: encodeJson,
  decode: (cursor, field) => decodeJson(cursor, field, isSecretKey) as string,
};

function timeAndName(cursor: string, isName: (name: unknown) => boolean, field: string): [number, string] {
  const isPlace = (place: unknown): boolean =>
    Array.isArray(place) && place.length === 2 && Number.isSafeInteger(place[0]) && isName(place[1]);
  return decodeJson(cursor, field, isPlace) as [number, string];
}

function encodeJson(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

function decodeJson(cursor: string, field: string, isPlace: (place: unknown) => boolean): unknown {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (isPlace(place)) return place;
  } catch {
    // Not JSON: the same as any other text that is not ours.
  }
  throw ContractError.at(field, 'cursor', 'is not a cursor of this list');
}
