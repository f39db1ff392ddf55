import type { JsonObject, JsonValue } from '../json';
import { isJsonObject } from '../json';
import { LIMITS } from '../limits';
import { AnyJson, ConversationKeyText, OneOf, OpenObject, Optional, rule, Text, WholeNumber } from '../payload-fields';
import { EFFECT_CLASSES, type EffectClass } from '../turn';
import { OpenFields } from '../validate';
import { HTTP_METHODS } from './action-types';

/** `Http`: one request. */
@OpenFields()
export class HttpArgs {
  /** In either case; see `HTTP_METHODS`. */
  @rule('isHttpMethod', `must be one of ${HTTP_METHODS.join(', ')}`, isHttpMethod, {
    type: 'string',
    pattern: `^(${HTTP_METHODS.flatMap((method) => [method, method.toLowerCase()]).join('|')})$`,
  })
  method: string;

  @rule('isHttpUrl', 'must be an absolute http or https URL', isHttpUrl, {
    type: 'string',
    format: 'uri',
    maxLength: LIMITS.urlLength,
  })
  url: string;

  @Optional()
  @rule('isHttpHeaders', `must hold at most ${LIMITS.httpHeaders} well-formed headers`, isHttpHeaders, {
    type: 'object',
    maxProperties: LIMITS.httpHeaders,
    additionalProperties: { type: 'string', maxLength: LIMITS.httpHeaderValueLength },
  })
  headers?: Record<string, string>;

  /** A string goes out as it is, anything else as JSON. */
  @Optional()
  @AnyJson()
  body?: JsonValue;

  @Optional()
  @WholeNumber(1, LIMITS.stepTimeoutMaxMs)
  timeout_ms?: number;

  /** An addition of ours: what a takeover may do with this request. */
  @Optional()
  @OneOf(EFFECT_CLASSES)
  effect?: EffectClass;
}

/** `Mcp`: one tool call. */
@OpenFields()
export class McpArgs {
  @Text(LIMITS.idLength)
  server: string;

  @Text(LIMITS.idLength)
  tool: string;

  @Optional()
  @OpenObject()
  arguments?: JsonObject;
}

/** `Node`: one capability of a paired device. */
@OpenFields()
export class NodeArgs {
  @Text(LIMITS.idLength)
  capability: string;

  @Optional()
  @Text(LIMITS.idLength)
  op?: string;

  /** An addition of ours: only this node. */
  @Optional()
  @Text(LIMITS.idLength)
  node_id?: string;

  /** An addition of ours: how long the turn waits for the outcome. */
  @Optional()
  @WholeNumber(1, LIMITS.stepTimeoutMaxMs)
  timeout_ms?: number;

  /** An addition of ours: whether a node that has lost its memory may be asked again; `once` when absent. */
  @Optional()
  @OneOf(EFFECT_CLASSES)
  effect?: EffectClass;
}

/** `Desktop` and `Browser`: routed to a node that has the capability. */
@OpenFields()
export class DeviceArgs {
  @Text(LIMITS.idLength)
  op: string;

  /** As in `NodeArgs`. */
  @Optional()
  @Text(LIMITS.idLength)
  node_id?: string;

  @Optional()
  @WholeNumber(1, LIMITS.stepTimeoutMaxMs)
  timeout_ms?: number;

  @Optional()
  @OneOf(EFFECT_CLASSES)
  effect?: EffectClass;
}

/** `Llm` and `Decide`: one model call. */
@OpenFields()
export class PromptArgs {
  @Text(LIMITS.promptLength)
  prompt: string;
}

/** `Confirm`: asks a person; the step succeeds when it is approved. */
@OpenFields()
export class ConfirmArgs {
  @Text(LIMITS.promptLength)
  prompt: string;
}

/** `Message`: a message into a conversation. */
@OpenFields()
export class MessageArgs {
  @ConversationKeyText()
  conversation_key: string;

  @Text(LIMITS.messageTextLength)
  text: string;
}

function isHttpMethod(value: unknown): boolean {
  return typeof value === 'string' && (HTTP_METHODS as readonly string[]).includes(value.toUpperCase());
}

function isHttpUrl(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > LIMITS.urlLength || !URL.canParse(value)) return false;
  return ['http:', 'https:'].includes(new URL(value).protocol);
}

function isHttpHeaders(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const headers = Object.entries(value);
  return headers.length <= LIMITS.httpHeaders && headers.every(([name, text]) => isHttpHeader(name, text));
}

function isHttpHeader(name: string, value: unknown): boolean {
  if (typeof value !== 'string' || value.length > LIMITS.httpHeaderValueLength) return false;
  // A token, and a value in which no line break can start another header.
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}
