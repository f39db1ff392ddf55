import {
  Allow,
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsString,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateBy,
  ValidateIf,
} from 'class-validator';
import { isConversationKey, isConversationKeyPart } from './conversation-key';
import { isUuid } from './ids';
import { childPath, isJsonObject, isWithinBytes } from './json';
import { Described, describeField, type FieldSchema, type JsonSchema } from './json-schema';
import { LIMITS } from './limits';
import { declareNestedField, readPayload, type FieldReader, type PayloadClass } from './validate';

/**
 * The decorators payload classes are declared with: compositions of class-validator's, each of which names every rule a
 * field of that sort has to keep, so that a class reads as a list of its fields. Each also says the same as JSON Schema, for
 * the documents we publish (`json-schema.ts`).
 */

/** The field may be absent. Unlike class-validator's `IsOptional` this does not let null pass for absent. */
export function Optional(): PropertyDecorator {
  return all(
    ValidateIf((_, value) => value !== undefined),
    (prototype, name) => describeField(prototype, String(name), { optional: true }),
  );
}

/** A string of `min`…`max` UTF-16 code units. */
export function Text(max: number, min = 1): PropertyDecorator {
  const schema = { type: 'string', minLength: min, maxLength: max };
  return all(Described(schema), IsString(), MinLength(min), MaxLength(max));
}

/** At most `count` strings of `min`…`max` UTF-16 code units each. */
export function TextList(count: number, max: number, min = 1): PropertyDecorator {
  const each = { each: true };
  const items = { type: 'string', minLength: min, maxLength: max };
  const schema = Described({ type: 'array', maxItems: count, items });
  return all(schema, IsArray(), ArrayMaxSize(count), IsString(each), MinLength(min, each), MaxLength(max, each));
}

/** An id of ours. */
export function Uuid(): PropertyDecorator {
  const schema = { type: 'string', format: 'uuid', pattern: '^[0-9a-f-]{36}$' };
  return rule('isUuid', 'must be a UUID in lower case', isUuid, schema);
}

/** A whole number of `min`…`max`. */
export function WholeNumber(min = 0, max: number = Number.MAX_SAFE_INTEGER): PropertyDecorator {
  return all(Described({ type: 'integer', minimum: min, maximum: max }), IsInt(), Min(min), Max(max));
}

export function Flag(): PropertyDecorator {
  return all(Described({ type: 'boolean' }), IsBoolean());
}

/** One of a closed set of words. */
export function OneOf(values: readonly string[]): PropertyDecorator {
  return all(Described({ type: 'string', enum: [...values] }), IsString(), IsIn(values));
}

/** At most as many words of a closed set as there are. */
export function SomeOf(values: readonly string[]): PropertyDecorator {
  const items = { type: 'string', enum: [...values] };
  const schema = Described({ type: 'array', maxItems: values.length, items });
  return all(schema, IsArray(), ArrayMaxSize(values.length), IsIn(values, { each: true }));
}

/** An object the protocol leaves open. */
export function OpenObject(): PropertyDecorator {
  return all(Described({ type: 'object' }), IsObject());
}

/** Any JSON value, null included, but not absent. */
export function AnyJson(): PropertyDecorator {
  return all(
    Allow(),
    rule('required', 'is missing', (value) => value !== undefined, {}),
  );
}

/** A conversation key. */
export function ConversationKeyText(): PropertyDecorator {
  const schema = { type: 'string', maxLength: LIMITS.conversationKeyLength, pattern: '^agent:[^:]+:' };
  return rule('conversationKey', 'must be a conversation key', isConversationKey, schema);
}

/** One part of a conversation key: an agent, a channel. */
export function KeyPart(): PropertyDecorator {
  const schema = { type: 'string', minLength: 1, maxLength: LIMITS.conversationKeyPartLength, pattern: '^[^:]+$' };
  const message = 'must be a name without colons or control characters';
  return rule('conversationKeyPart', message, isConversationKeyPart, schema);
}

/** An ISO-8601 instant with a zone: `2026-01-31T12:00:00Z`. */
export function Instant(): PropertyDecorator {
  const shape = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;
  return rule(
    'isInstant',
    'must be an ISO-8601 time with a zone',
    (value) => typeof value === 'string' && shape.test(value) && !Number.isNaN(Date.parse(value)),
    { type: 'string', pattern: shape.source },
  );
}

/** A JSON value of at most `bytes` as UTF-8 text. */
export function MaxJsonBytes(bytes: number): PropertyDecorator {
  const isWithin = (value: unknown): boolean => isWithinBytes(JSON.stringify(value) ?? '', bytes);
  return rule('maxJsonBytes', `must not be larger than ${bytes} bytes`, isWithin, {
    description: `At most ${bytes} bytes as JSON.`,
  });
}

/**
 * A rule of ours under its own name.
 * @param message continues a sentence that starts with the field
 * @param schema what of the rule a JSON Schema can say
 */
export function rule(
  ...[name, message, test, schema]: [
    name: string,
    message: string,
    test: (value: unknown) => boolean,
    schema: JsonSchema,
  ]
): PropertyDecorator {
  const validator = { validate: (value: unknown) => test(value), defaultMessage: () => message };
  return all(Described(schema), ValidateBy({ name, validator }));
}

/** An object of another payload class. The class is given lazily, so that classes may be declared in any order. */
export function Nested(cls: () => PayloadClass, { optional = false } = {}): PropertyDecorator {
  return NestedBy((value, path, violations) => readPayload(cls(), value, path, violations), {
    optional,
    schema: (ref) => ref(cls()),
  });
}

export interface ListRules {
  readonly min?: number;
  readonly max: number;
  readonly optional?: boolean;
}

export interface FieldRules {
  readonly optional?: boolean;
  readonly schema: FieldSchema;
}

/** A list of `min`…`max` objects of another payload class. */
export function NestedList(cls: () => PayloadClass, rules: ListRules): PropertyDecorator {
  return ListBy((value, path, violations) => readPayload(cls(), value, path, violations), {
    ...rules,
    items: (ref) => ref(cls()),
  });
}

/** One of several payload classes; `discriminator` is the field whose value says which. */
export function NestedUnion(
  discriminator: string,
  variants: Readonly<Record<string, PayloadClass>>,
  { optional = false } = {},
): PropertyDecorator {
  return NestedBy(
    (value, path, violations) => {
      if (!isJsonObject(value)) return violations.add(path, 'isObject', 'must be an object');
      const word = value[discriminator];
      const variant = typeof word === 'string' && Object.hasOwn(variants, word) ? variants[word] : undefined;
      if (variant) return readPayload(variant, value, path, violations);
      const message = `must be one of ${Object.keys(variants).join(', ')}`;
      return violations.add(childPath(path, discriminator), 'isIn', message);
    },
    { optional, schema: (ref) => ({ oneOf: Object.values(variants).map(ref) }) },
  );
}

/** A list whose elements `read` makes; `items` describes one. */
export function ListBy(
  read: FieldReader,
  { min = 0, max, optional = false, items }: ListRules & { readonly items: FieldSchema },
): PropertyDecorator {
  return NestedBy(
    (value, path, violations) => {
      if (!Array.isArray(value)) return violations.add(path, 'isArray', 'must be a list');
      // The size is looked at first: a list that is too long is refused without reading it.
      if (value.length < min) return violations.add(path, 'arrayMinSize', `must have at least ${min} element(s)`);
      if (value.length > max) return violations.add(path, 'arrayMaxSize', `must have at most ${max} element(s)`);
      return value.map((element, i) => (violations.full ? undefined : read(element, childPath(path, i), violations)));
    },
    {
      optional,
      schema: (ref) => ({
        type: 'array',
        minItems: min,
        maxItems: max,
        items: typeof items === 'function' ? items(ref) : items,
      }),
    },
  );
}

/** A field that `read` makes. */
export function NestedBy(read: FieldReader, { optional = false, schema }: FieldRules): PropertyDecorator {
  return (prototype, name) => {
    declareNestedField(prototype, String(name), { read, optional });
    describeField(prototype, String(name), { schema, optional });
  };
}

function all(...decorators: PropertyDecorator[]): PropertyDecorator {
  // In the order given: class-validator stops at the first failure, so the type goes before the size.
  return (prototype, name) => decorators.forEach((decorate) => decorate(prototype, name));
}
