import { join } from 'node:path';
import { createGenerator, type SchemaGenerator } from 'ts-json-schema-generator';
// By path: this runs outside jest and webpack, and @swc-node/register does not know the workspace's aliases.
import { isOpenClass, objectSchema, type JsonSchema } from '../../libs/protocol/src/index';

const ROOT = join(__dirname, '..', '..');

/**
 * The schemas of everything that crosses the wire, under their names. What comes in is described by the decorators that
 * check it; what goes out by the types the code that makes it is compiled against. Nothing is written down a second time.
 */
export class SchemaBook {
  private readonly schemas = new Map<string, JsonSchema>();
  private readonly classes = new Map<string, new () => object>();
  private readonly generator: SchemaGenerator = createGenerator({
    path: join(ROOT, 'libs', 'protocol', 'src', 'index.ts'),
    tsconfig: join(ROOT, 'tsconfig.json'),
    skipTypeCheck: true,
    expose: 'export',
    additionalProperties: false,
    encodeRefs: false,
  });

  /** The schema of a payload class, by reference. */
  readonly ofClass = (cls: new () => object): JsonSchema => {
    const known = this.classes.get(cls.name);
    if (known && known !== cls) throw new Error(`two payload classes are called ${cls.name}`);
    if (!known) {
      this.classes.set(cls.name, cls);
      this.schemas.set(cls.name, {});
      this.schemas.set(cls.name, objectSchema(cls, { ref: this.ofClass, open: isOpenClass(cls) }));
    }
    return { $ref: `#/components/schemas/${cls.name}` };
  };

  /** The schema of an exported type of `libs/protocol`, by reference. */
  ofType(name: string): JsonSchema {
    for (const [key, schema] of Object.entries(this.generator.createSchema(name).definitions ?? {})) {
      const plain = nameOf(key);
      if (!this.schemas.has(plain)) this.schemas.set(plain, inDocument(schema) as JsonSchema);
    }
    return { $ref: `#/components/schemas/${nameOf(name)}` };
  }

  /** The schema of each field of an exported interface: `undefined` where the field's type is that. */
  fieldsOf(name: string): Record<string, JsonSchema | undefined> {
    this.ofType(name);
    const { properties } = this.schemas.get(name) as { properties: Record<string, JsonSchema> };
    this.schemas.delete(name);
    return Object.fromEntries(
      Object.entries(properties).map(([field, schema]) => [field, 'not' in schema ? undefined : schema]),
    );
  }

  /** Gives `name` another schema than its type says: for what the types cannot tell as exactly. */
  replace(name: string, schema: JsonSchema): void {
    this.schemas.set(name, schema);
  }

  /** The schemas that `document` refers to, directly or through others, in the order of their names. */
  usedBy(document: object): Record<string, JsonSchema> {
    const used = new Map<string, JsonSchema>();
    const open: unknown[] = [document];
    for (let value = open.pop(); value !== undefined; value = open.pop()) {
      if (typeof value !== 'object' || value === null) continue;
      const ref = (value as { $ref?: unknown }).$ref;
      const name = typeof ref === 'string' ? /^#\/components\/schemas\/(.+)$/.exec(ref)?.[1] : undefined;
      if (name !== undefined && !used.has(name)) {
        const schema = this.schemas.get(name);
        if (!schema) throw new Error(`there is no schema ${name}`);
        used.set(name, schema);
        open.push(schema);
      }
      open.push(...Object.values(value).filter((inner) => inner !== undefined));
    }
    return Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** A name of a generic type as one that may stand in a document: `ActionOf<"CLI">` → `ActionOf-CLI`. */
function nameOf(name: string): string {
  return name.replace(/[^\w.-]+/g, '-').replace(/-+$/, '');
}

function inDocument(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(inDocument);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) =>
      key === '$ref' && typeof value === 'string'
        ? [key, `#/components/schemas/${nameOf(value.replace('#/definitions/', ''))}`]
        : [key, inDocument(value)],
    ),
  );
}
