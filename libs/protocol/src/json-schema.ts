/** A JSON Schema (draft 2020-12), or a part of one. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** Names the schema of another payload class from within a schema. */
export type SchemaRef = (cls: new () => object) => JsonSchema;

/** A part of a field's schema; a function where it speaks of other payload classes, which may be declared later. */
export type FieldSchema = JsonSchema | ((ref: SchemaRef) => JsonSchema);

interface FieldFacts {
  readonly parts: FieldSchema[];
  optional: boolean;
}

const fieldsOf = new Map<object, Map<string, FieldFacts>>();

/**
 * Says what a field is, beside the rule that checks it. The decorators of `payload-fields.ts` do both in one place, so that
 * what is published and what is enforced cannot come apart.
 */
export function describeField(
  prototype: object,
  name: string,
  { schema, optional }: { schema?: FieldSchema; optional?: boolean },
): void {
  const fields = fieldsOf.get(prototype) ?? new Map<string, FieldFacts>();
  fieldsOf.set(prototype, fields);
  const facts = fields.get(name) ?? { parts: [], optional: false };
  fields.set(name, facts);
  if (schema) facts.parts.push(schema);
  if (optional) facts.optional = true;
}

/** A decorator that only describes. */
export function Described(schema: FieldSchema): PropertyDecorator {
  return (prototype, name) => describeField(prototype, String(name), { schema });
}

export interface ObjectSchemaOptions {
  readonly ref: SchemaRef;
  /** Whether fields that are not declared are let through. */
  readonly open: boolean;
}

/** The schema of a payload class: what its fields are and which of them have to be there. */
export function objectSchema(cls: new () => object, { ref, open }: ObjectSchemaOptions): JsonSchema {
  const defaults = new cls() as Record<string, unknown>;
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [name, { parts, optional }] of inheritedFields(cls)) {
    const schema = Object.assign({}, ...parts.map((part) => (typeof part === 'function' ? part(ref) : part)));
    const value = defaults[name];
    properties[name] = value === undefined ? schema : { ...schema, default: value };
    if (!optional && value === undefined) required.push(name);
  }
  return {
    type: 'object',
    properties,
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: open,
  };
}

/** The base class' fields first. */
function inheritedFields(cls: new () => object): Map<string, FieldFacts> {
  const chain: object[] = [];
  for (let at: unknown = cls.prototype; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    chain.unshift(at as object);
  }
  return new Map(chain.flatMap((prototype) => [...(fieldsOf.get(prototype) ?? [])]));
}
