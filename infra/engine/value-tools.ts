import { Archive, Asset, ResourceReference, Secret, Unknown } from "./values.ts";
import type { Value, ValueMap } from "./values.ts";

/** True for plain objects: not arrays and none of the marked kinds. */
export function isMap(value: Value | undefined): value is ValueMap {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Secret) &&
    !(value instanceof Unknown) &&
    !(value instanceof Asset) &&
    !(value instanceof Archive) &&
    !(value instanceof ResourceReference)
  );
}

/** `Array.isArray` that narrows a readonly array. */
export function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** Removes any number of secret wrappers around the value itself (not inside it). */
export function unwrap(value: Value): Value {
  let inner = value;
  while (inner instanceof Secret) inner = inner.value;
  return inner;
}

/** Wraps once, never twice. */
export function wrapSecret(value: Value): Secret {
  return value instanceof Secret ? value : new Secret(value);
}

function some(value: Value, test: (leaf: Value) => boolean): boolean {
  if (test(value)) return true;
  if (value instanceof Secret) return some(value.value, test);
  if (value instanceof ResourceReference) return value.id !== undefined && some(value.id, test);
  if (isList(value)) return value.some((item) => some(item, test));
  if (isMap(value)) return Object.values(value).some((item) => some(item, test));
  return false;
}

/** Shows whether a value holds a secret anywhere. */
export const hasSecret = (value: Value): boolean => some(value, (leaf) => leaf instanceof Secret);
/** Shows whether a value holds an unknown anywhere. */
export const hasUnknown = (value: Value): boolean => some(value, (leaf) => leaf instanceof Unknown);

/** The same value without any secret wrapper; shares what has none. */
export function withoutSecrets(value: ValueMap): ValueMap;
export function withoutSecrets(value: Value): Value;
export function withoutSecrets(value: Value): Value {
  if (value instanceof Secret) return withoutSecrets(value.value);
  if (isList(value)) return value.map((item) => withoutSecrets(item));
  if (isMap(value)) return mapValues(value, (item) => withoutSecrets(item));
  return value;
}

export function mapValues(map: ValueMap, change: (value: Value, key: string) => Value): ValueMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value, key)]));
}

/**
 * Marks secrets again in what a provider that knows none answered: a key that was secret when it was sent is
 * secret when it comes back, recursing through objects; an array that held any secret is secret as a whole.
 */
export function markSecretsAs(answer: ValueMap, sent: ValueMap): ValueMap {
  return mapValues(answer, (value, key) => {
    const original = sent[key];
    if (original === undefined) return value;
    if (original instanceof Secret) return wrapSecret(value);
    if (isMap(original) && isMap(value)) return markSecretsAs(value, original);
    if (isList(original) && hasSecret(original)) return wrapSecret(value);
    return value;
  });
}

/** Marks the named top-level keys secret. */
export function markKeysSecret(map: ValueMap, keys: readonly string[]): ValueMap {
  if (keys.length === 0) return map;
  const wanted = new Set(keys);
  return mapValues(map, (value, key) => (wanted.has(key) ? wrapSecret(value) : value));
}

/**
 * Compares contents: assets and archives are their hash, an unknown equals nothing.
 * @param strict - secret wrappers count too.
 */
export function equal(left: Value | undefined, right: Value | undefined, strict = false): boolean {
  if (left === right) return true;
  if (left === undefined || right === undefined) return false;
  if (strict && left instanceof Secret !== right instanceof Secret) return false;
  const a = unwrap(left);
  const b = unwrap(right);
  if (a instanceof Unknown || b instanceof Unknown) return false;
  if (a === b) return true;
  if (a instanceof Asset) return b instanceof Asset && a.hash === b.hash;
  if (a instanceof Archive) return b instanceof Archive && a.hash === b.hash;
  if (a instanceof ResourceReference) {
    return b instanceof ResourceReference && a.urn === b.urn && equal(a.id, b.id, strict);
  }
  if (isList(a)) return isList(b) && a.length === b.length && a.every((item, i) => equal(item, b[i], strict));
  if (isMap(a) && isMap(b)) {
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length && keys.every((key) => key in b && equal(a[key], b[key], strict))
    );
  }
  return false;
}
