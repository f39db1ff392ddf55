import { getMetadataStorage, validateSync } from 'class-validator';
import { compileFieldsTest, type FieldsTest } from './compiled-rules';
import { ContractError, type Violation } from './error-codes';
import { childPath, isJsonObject } from './json';
import { LIMITS } from './limits';

/** A payload class: no constructor arguments, fields declared with the decorators of `payload-fields.ts`. */
export type PayloadClass<T extends object = object> = new () => T;

/** Collects violations up to `LIMITS.errorDetails`, so that a hostile payload cannot ask for a megabyte of complaints. */
export class Violations {
  readonly list: Violation[] = [];

  add(field: string, rule: string, message: string): void {
    if (this.list.length < LIMITS.errorDetails) this.list.push({ field, rule, message });
  }

  get full(): boolean {
    return this.list.length >= LIMITS.errorDetails;
  }
}

/** Turns a field's raw value into the typed one, reporting what is wrong with it. */
export type FieldReader = (value: unknown, path: string, violations: Violations) => unknown;

interface FieldRule {
  readonly read: FieldReader;
  readonly optional: boolean;
}

const nestedFields = new Map<object, Map<string, FieldRule>>();

/** Declares that `read` makes the field of that prototype. Used by the decorators of `payload-fields.ts` only. */
export function declareNestedField(prototype: object, name: string, rule: FieldRule): void {
  const fields = nestedFields.get(prototype) ?? new Map<string, FieldRule>();
  nestedFields.set(prototype, fields.set(name, rule));
}

const openClasses = new Set<object>();

/** Lets a payload class carry fields it does not declare. They are kept, unchecked; declared ones are checked. */
export function OpenFields(): ClassDecorator {
  return (target) => void openClasses.add(target);
}

/** Whether the class was marked `@OpenFields()`. */
export function isOpenClass(cls: PayloadClass): boolean {
  return openClasses.has(cls);
}

/**
 * Checks a parsed JSON value against a payload class and makes an instance of it.
 *
 * Nothing is converted: `"1"` is no number. An unknown field is a violation unless the class is open. Only own fields of
 * a plain object count, so neither an array nor a name inherited from `Object.prototype` passes for one. Class
 * instances are made here and not by class-transformer, which copies open values deeply and drops a field called
 * `constructor` from them: what is fingerprinted, approved and stored has to be exactly what was sent.
 * @param path the prefix of the fields in the error's details
 * @throws {ContractError} naming the fields at fault
 */
export function validatePayload<T extends object>(cls: PayloadClass<T>, value: unknown, path = 'payload'): T {
  const violations = new Violations();
  const payload = readPayload(cls, value, path, violations);
  throwIfAny(violations);
  return payload as T;
}

/** @throws {ContractError} if there are any; its message is the first one's. */
export function throwIfAny({ list }: Violations): void {
  const [first] = list;
  if (first) throw new ContractError(`${first.field}: ${first.message}`, list);
}

/** As `validatePayload`, reporting to `violations` instead of throwing; the result counts only if none were added. */
export function readPayload(cls: PayloadClass, value: unknown, path: string, violations: Violations): unknown {
  if (!isJsonObject(value)) return violations.add(path, 'isObject', 'must be an object');
  const shape = shapeOf(cls);
  const instance = freshInstance(cls, shape);
  const target = instance as Record<string, unknown>;
  const before = violations.list.length;
  for (const key of Object.keys(value)) {
    if (shape.names.has(key)) target[key] = value[key];
    else if (!shape.open) violations.add(childPath(path, key), 'unknownField', 'is not a field of this message');
  }
  readNested(shape, { value, target, path, violations });
  if (violations.list.length === before && !shape.passes(instance)) reportFields(instance, path, violations);
  // An open object is handed on as it came: moving its unknown fields onto an instance would let a field called
  // `constructor` or `__proto__` replace what the instance is.
  return shape.open ? value : instance;
}

/** Without the constructor where it can be: class fields would add an own `undefined` for every absent field. */
function freshInstance(cls: PayloadClass, { hasDefaults }: Shape): object {
  const instance = Object.create(cls.prototype as object) as object;
  if (!hasDefaults) return instance;
  return Object.assign(instance, Object.fromEntries(Object.entries(new cls()).filter(([, v]) => v !== undefined)));
}

interface Reading {
  readonly value: Record<string, unknown>;
  readonly target: Record<string, unknown>;
  readonly path: string;
  readonly violations: Violations;
}

function readNested(shape: Shape, { value, target, path, violations }: Reading): void {
  for (const [name, rule] of shape.nested) {
    if (violations.full) return;
    if (!Object.hasOwn(value, name)) {
      if (!rule.optional && target[name] === undefined) violations.add(childPath(path, name), 'required', 'is missing');
      continue;
    }
    target[name] = rule.read(value[name], childPath(path, name), violations);
  }
}

function reportFields(instance: object, path: string, violations: Violations): void {
  for (const error of validateSync(instance, { stopAtFirstError: true, forbidUnknownValues: false })) {
    for (const [rule, message] of Object.entries(error.constraints ?? {})) {
      // class-validator starts most messages with the field's name, which `field` says already.
      violations.add(childPath(path, error.property), rule, message.replace(`${error.property} `, ''));
    }
  }
}

interface Shape {
  readonly names: ReadonlySet<string>;
  readonly nested: ReadonlyMap<string, FieldRule>;
  readonly hasDefaults: boolean;
  readonly open: boolean;
  readonly passes: FieldsTest;
}

const shapes = new WeakMap<object, Shape>();

function shapeOf(cls: PayloadClass): Shape {
  const known = shapes.get(cls);
  if (known) return known;
  const metadata = getMetadataStorage().getTargetValidationMetadatas(cls, '', true, false);
  const nested = new Map<string, FieldRule>();
  for (let proto: unknown = cls.prototype; proto && proto !== Object.prototype; proto = Object.getPrototypeOf(proto)) {
    for (const [name, rule] of nestedFields.get(proto as object) ?? []) if (!nested.has(name)) nested.set(name, rule);
  }
  const shape: Shape = {
    names: new Set([...metadata.map(({ propertyName }) => propertyName), ...nested.keys()]),
    nested,
    hasDefaults: Object.values(new cls()).some((value) => value !== undefined),
    open: openClasses.has(cls),
    passes: compileFieldsTest(metadata),
  };
  shapes.set(cls, shape);
  return shape;
}
