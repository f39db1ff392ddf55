import type { EntitySchemaColumnOptions, ValueTransformer } from 'typeorm';

/** Postgres hands a bigint over as text where TypeORM hydrates it; every one of ours fits a double. */
const asNumber: ValueTransformer = {
  to: (value: number | null | undefined) => value,
  from: (value: string | number | null) => (value === null ? null : Number(value)),
};

/** Text on both dialects; Postgres stores uuids as `uuid` and compares them with untyped parameters. */
export const text: EntitySchemaColumnOptions = { type: 'text' };
export const nullableText: EntitySchemaColumnOptions = { type: 'text', nullable: true };
export const key: EntitySchemaColumnOptions = { type: 'text', primary: true };
export const integer: EntitySchemaColumnOptions = { type: 'bigint', transformer: asNumber };
export const nullableInteger: EntitySchemaColumnOptions = { type: 'bigint', nullable: true, transformer: asNumber };
export const flag: EntitySchemaColumnOptions = { type: 'boolean' };
/** JSON kept as text, parsed on the way out. */
export const json: EntitySchemaColumnOptions = { type: 'simple-json' };
export const nullableJson: EntitySchemaColumnOptions = { type: 'simple-json', nullable: true };
