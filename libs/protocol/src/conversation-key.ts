import { ContractError } from './error-codes';
import { LIMITS } from './limits';

/** What a channel conversation lives in. */
export const CONTAINER_KINDS = ['dm', 'group', 'channel'] as const;
export type ContainerKind = (typeof CONTAINER_KINDS)[number];

/** The parts of a conversation key. */
export interface ConversationKey {
  readonly agentKey: string;
  /** Absent in `agent:<agent>:main` and `agent:<agent>:dm:<peer>`. */
  readonly channel?: string;
  readonly accountKey?: string;
  /** Absent in `agent:<agent>:main`. */
  readonly containerKind?: ContainerKind;
  /** The last part: the peer, group or channel id, or `main`. */
  readonly threadId: string;
}

/**
 * Parses a conversation key:
 *
 * - `agent:<agent>:main`
 * - `agent:<agent>:dm:<peer>`
 * - `agent:<agent>:<channel>:dm:<peer>`
 * - `agent:<agent>:<channel>:<account>:dm|group|channel:<id>`
 *
 * The number of parts alone decides the form, so a channel may be called `dm` without ambiguity.
 * @param field where the key stands, for the error
 * @throws {ContractError} with rule `conversationKey`
 */
export function parseConversationKey(key: string, field = 'conversation_key'): ConversationKey {
  const parsed = tryParse(key);
  if (!parsed) throw ContractError.at(field, 'conversationKey', 'is not a conversation key');
  return parsed;
}

/** Whether `value` is a well-formed conversation key. */
export function isConversationKey(value: unknown): value is string {
  return typeof value === 'string' && tryParse(value) !== undefined;
}

/** The key with these parts; the inverse of `parseConversationKey`. @throws {ContractError} */
export function formatConversationKey(key: ConversationKey): string {
  const text = ['agent', key.agentKey, key.channel, key.accountKey, key.containerKind, key.threadId]
    .filter((part) => part !== undefined)
    .join(':');
  const parsed = parseConversationKey(text);
  const same = (['agentKey', 'channel', 'accountKey', 'containerKind', 'threadId'] as const).every(
    (part) => parsed[part] === key[part],
  );
  if (!same) throw ContractError.at('conversation_key', 'conversationKey', 'these parts make no conversation key');
  return text;
}

/** The key of a new conversation of the user interface: `agent:default:ui:default:channel:ui-<uuid>`. */
export function newUiConversationKey(uuid: string, agentKey = 'default', channel = 'ui'): string {
  return formatConversationKey({
    agentKey,
    channel,
    accountKey: 'default',
    containerKind: 'channel',
    threadId: `${channel}-${uuid}`,
  });
}

/** The agent a conversation belongs to. @param conversationKey one that was checked when it came in */
export function agentKeyOf(conversationKey: string): string {
  const begin = 'agent:'.length;
  return conversationKey.slice(begin, conversationKey.indexOf(':', begin));
}

/** Whether `value` may be one part of a key: 1…255 characters, no `:`, no control character, well-formed Unicode. */
export function isConversationKeyPart(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= LIMITS.conversationKeyPartLength &&
    // \p{Cs} under the u flag matches lone surrogates only, which UTF-8 and so both databases cannot hold.
    /^[^:\p{Cc}\p{Cs}]+$/u.test(value)
  );
}

function tryParse(key: string): ConversationKey | undefined {
  if (key.length > LIMITS.conversationKeyLength) return undefined;
  const [prefix, agentKey, ...rest] = key.split(':', 7);
  if (prefix !== 'agent' || agentKey === undefined || ![agentKey, ...rest].every(isConversationKeyPart))
    return undefined;
  const [a, b, c, d] = rest as [string?, string?, string?, string?];
  switch (rest.length) {
    case 1:
      return a === 'main' ? { agentKey, threadId: a } : undefined;
    case 2:
      return a === 'dm' && b !== undefined ? { agentKey, containerKind: a, threadId: b } : undefined;
    case 3:
      return b === 'dm' && c !== undefined ? { agentKey, channel: a!, containerKind: b, threadId: c } : undefined;
    case 4:
      return isContainerKind(c) ? { agentKey, channel: a!, accountKey: b!, containerKind: c, threadId: d! } : undefined;
    default:
      return undefined;
  }
}

function isContainerKind(value: string | undefined): value is ContainerKind {
  return (CONTAINER_KINDS as readonly (string | undefined)[]).includes(value);
}
