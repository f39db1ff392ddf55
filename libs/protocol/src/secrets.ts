import { isJsonObject, mapTexts, type JsonValue } from './json';
import { LIMITS } from './limits';
import { Optional, rule, Text } from './payload-fields';
import type { Page } from './page';

const KEY = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}';
const ONLY_KEY = new RegExp(`^${KEY}$`);
const HANDLE = new RegExp(`^secret:(${KEY})$`);
/** A header's value: the handle alone, or behind the scheme of an Authorization header. */
const HEADER = new RegExp(`^([A-Za-z0-9-]+ )?secret:(${KEY})$`);
/** Programs look for these themselves; what they find there decides what else they run. */
const RESERVED_ENV = /^(PATH|HOME|IFS|ENV|BASH_ENV|NODE_OPTIONS|TYRUM_.*|LD_.*|DYLD_.*)$/;

/** Whether the text can be the key of a secret. */
export function isSecretKey(value: unknown): value is string {
  return typeof value === 'string' && ONLY_KEY.test(value);
}

/** The key that a handle (`secret:<key>`) names; undefined for any other text. */
export function secretKeyOf(text: unknown): string | undefined {
  return typeof text === 'string' ? HANDLE.exec(text)?.[1] : undefined;
}

/** The keys that a step's arguments name where they may: in the environment of a command, in headers and body of an HTTP request. */
export function secretKeysIn({ type, args }: { readonly type: string; readonly args: object }): Set<string> {
  const keys = new Set<string>();
  const { env, headers, body } = args as Readonly<Record<string, unknown>>;
  const note = (key: string | undefined): void => void (key !== undefined && keys.add(key));
  if (type === 'CLI' && isJsonObject(env)) Object.values(env).forEach((value) => note(secretKeyOf(value)));
  if (type === 'Http') {
    if (isJsonObject(headers)) Object.values(headers).forEach((value) => note(HEADER.exec(String(value))?.[2]));
    mapHandles(body as JsonValue, (key) => (note(key), key));
  }
  return keys;
}

/** Whether a value is a handle, or has one in it, where a step's arguments would resolve it. */
export function namesSecret(value: JsonValue): boolean {
  if (typeof value === 'string') return HEADER.test(value);
  let found = false;
  mapHandles(value, (key) => {
    found = true;
    return key;
  });
  return found;
}

/** A header's value with the handle in it resolved. */
export function resolveHeader(value: string, values: ReadonlyMap<string, string>): string {
  const [, scheme = '', key = ''] = HEADER.exec(value) ?? [];
  const secret = values.get(key);
  return secret === undefined ? value : `${scheme}${secret}`;
}

/** A JSON value in which each text that is a handle as a whole is what `replace` makes of its key. */
export function mapHandles(value: JsonValue, replace: (key: string) => string): JsonValue {
  return mapTexts(value, (text) => {
    const key = secretKeyOf(text);
    return key === undefined ? text : replace(key);
  });
}

/** The environment a command is given: names of variables, and handles. */
export function SecretEnvironment(): PropertyDecorator {
  const message = `must name at most ${LIMITS.secretsPerStep} variables, each with a handle secret:<key> and none that programs reserve`;
  return rule('secretEnvironment', message, isSecretEnvironment, {
    type: 'object',
    maxProperties: LIMITS.secretsPerStep,
    additionalProperties: { type: 'string', pattern: HANDLE.source },
  });
}

function isSecretEnvironment(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const variables = Object.entries(value);
  return (
    variables.length <= LIMITS.secretsPerStep &&
    variables.every(
      ([name, handle]) =>
        /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) && !RESERVED_ENV.test(name) && secretKeyOf(handle) !== undefined,
    )
  );
}

/** Hosts as a URL names them: lower case, without a port. */
function HostList(): PropertyDecorator {
  const isHost = (host: unknown): boolean =>
    typeof host === 'string' && URL.canParse(`http://${host}`) && new URL(`http://${host}`).hostname === host;
  const isList = (hosts: unknown): boolean =>
    Array.isArray(hosts) && hosts.length > 0 && hosts.length <= LIMITS.hostsPerSecret && hosts.every(isHost);
  const message = `must be 1 to ${LIMITS.hostsPerSecret} host names in lower case, without a port`;
  return rule('hostList', message, isList, {
    type: 'array',
    minItems: 1,
    maxItems: LIMITS.hostsPerSecret,
    items: { type: 'string', maxLength: 253 },
  });
}

function SecretKeyText(): PropertyDecorator {
  const message = 'must be 1 to 128 letters, digits, dots, underscores and hyphens, a letter or digit first';
  return rule('secretKey', message, isSecretKey, { type: 'string', pattern: ONLY_KEY.source });
}

/** `POST /v1/secrets`. */
export class SecretCreateBody {
  @SecretKeyText()
  key: string;

  @Text(LIMITS.secretLength, LIMITS.secretLengthMin)
  value: string;

  @Optional()
  @Text(LIMITS.labelLength)
  description?: string;

  /** The only hosts it may be sent to; commands do not get it then. Steps that a model chose may use no other secrets than such. */
  @Optional()
  @HostList()
  hosts?: string[];
}

/** `POST /v1/secrets/:key/rotate`. */
export class SecretRotateBody {
  @Text(LIMITS.secretLength, LIMITS.secretLengthMin)
  value: string;
}

/** A secret without its value, which nothing shows. */
export interface SecretView {
  key: string;
  /** What steps are given: `secret:<key>`. */
  handle: string;
  description?: string;
  /** The only hosts it may be sent to. */
  hosts?: string[];
  /** 1, and one more with each new value. */
  version: number;
  created_at: string;
  updated_at: string;
}

export interface SecretResult {
  secret: SecretView;
}

export interface SecretList extends Page {
  secrets: SecretView[];
}
