import { objectSchema, type JsonSchema } from './json-schema';
import { isOpenClass, type PayloadClass } from './validate';

/** The schema of a payload class as a document of its own: what it refers to is under its `$defs`. */
export function payloadSchema(cls: PayloadClass): JsonSchema {
  const $defs: Record<string, JsonSchema> = {};
  const ref = (inner: new () => object): JsonSchema => {
    if (!Object.hasOwn($defs, inner.name)) {
      // Before its fields, which may refer to it.
      $defs[inner.name] = {};
      $defs[inner.name] = objectSchema(inner, { ref, open: isOpenClass(inner) });
    }
    return { $ref: `#/$defs/${inner.name}` };
  };
  const schema = objectSchema(cls, { ref, open: isOpenClass(cls) });
  return Object.keys($defs).length > 0 ? { ...schema, $defs } : schema;
}
