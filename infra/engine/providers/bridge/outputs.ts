import { equal, isList, isMap, mapValues } from "../../value-tools.ts";
import { Unknown } from "../../values.ts";
import type { Value, ValueMap } from "../../values.ts";
import { canonical } from "./diff.ts";
import type { Field, Fields } from "./field.ts";

/** A value without the bridge's own keys (`__defaults`), at any depth. */
export function withoutMarks(value: ValueMap): ValueMap;
export function withoutMarks(value: Value): Value;
export function withoutMarks(value: Value): Value {
  if (isList(value)) return value.map((item) => withoutMarks(item));
  if (!isMap(value)) return value;
  const kept = Object.entries(value).filter(([key]) => !key.startsWith("__"));
  return mapValues(Object.fromEntries(kept), (item) => withoutMarks(item));
}

/** The outputs that follow from the inputs alone: what is written, else each property's blank. */
export function outputsFromInputs(fields: Fields, inputs: ValueMap): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, field]) => {
      const value = inputs[key];
      return [key, value === undefined ? (field.blank ?? null) : completed(field, value)];
    }),
  );
}

/** Nested objects name all their properties in outputs, written or not. */
function completed(field: Field, value: Value): Value {
  if (isList(value)) {
    const { item } = field;
    return value.map((element) => (item === undefined ? element : completed(item, element)));
  }
  if (field.type === "object" && isMap(value)) return outputsFromInputs(field.fields ?? {}, value);
  return withoutMarks(value);
}

/** What a create will give as far as it is known now. */
export function previewOutputs(fields: Fields, inputs: ValueMap): ValueMap {
  const known = outputsFromInputs(fields, inputs);
  return Object.fromEntries(
    Object.entries(fields).map(([key, field]) => {
      const chosenThere = field.outputOnly === true || (field.computed === true && inputs[key] === undefined);
      return [key, chosenThere ? Unknown.instance : (known[key] ?? null)];
    }),
  );
}

/** The recorded outputs with the changed inputs in their place. */
export function updatedOutputs(
  fields: Fields,
  oldOutputs: ValueMap,
  inputs: ValueMap,
): Record<string, Value> {
  const known = outputsFromInputs(fields, inputs);
  // The real bridge's note on how it wrote these very outputs; kept beside changed ones it would mislead it.
  const { __pulumi_raw_state_delta: _, ...kept } = oldOutputs;
  const result: Record<string, Value> = kept;
  for (const [key, field] of Object.entries(fields)) {
    if (field.outputOnly === true || (field.computed === true && inputs[key] === undefined)) continue;
    if (canonical(field, oldOutputs[key]) !== canonical(field, inputs[key])) result[key] = known[key] ?? null;
  }
  return result;
}

/**
 * The inputs that a read implies: what was written stays as it was written unless reality differs; without any
 * (an import), everything that differs from its default.
 */
export function inputsFromOutputs(fields: Fields, oldInputs: ValueMap, outputs: ValueMap): ValueMap {
  const importing = Object.keys(oldInputs).length === 0;
  const inputs: Record<string, Value> = {};
  for (const [key, field] of Object.entries(fields)) {
    if (field.outputOnly === true) continue;
    const found = outputs[key];
    const old = oldInputs[key];
    if (old !== undefined) {
      const value = merged(field, old, found);
      if (value !== undefined) inputs[key] = value;
    } else if (importing && found !== undefined && found !== null) {
      if (canonical(field, found) !== canonical(field, undefined)) inputs[key] = marked(field, found);
    }
  }
  return { ...inputs, __defaults: stillDefault(oldInputs, inputs) };
}

/**
 * The names in `__defaults` whose value is still the one the default gave: another value is reality's, and the real
 * bridge would otherwise take it for a default of old and want it again.
 */
function stillDefault(old: ValueMap, now: ValueMap): readonly Value[] {
  const defaults = old["__defaults"];
  if (!isList(defaults)) return [];
  return defaults.filter((name) => typeof name === "string" && equal(old[name] ?? null, now[name] ?? null));
}

/** The old input where reality agrees with it; otherwise reality, without what nobody had written. */
function merged(field: Field, old: Value, found: Value | undefined): Value | undefined {
  if (found === undefined || found === null)
    return canonical(field, old) === canonical(field, found) ? old : undefined;
  if (canonical(field, old) === canonical(field, found) || field.same?.(found, old) === true) return old;
  if (field.type === "object" && isMap(old) && isMap(found)) {
    const kept = Object.entries(old).flatMap(([key, value]): [string, Value][] => {
      const inner = field.fields?.[key];
      const now = inner === undefined ? value : merged(inner, value, found[key]);
      return now === undefined ? [] : [[key, now]];
    });
    const now = Object.fromEntries(kept);
    return "__defaults" in old ? { ...now, __defaults: stillDefault(old, now) } : now;
  }
  const { item } = field;
  if (field.type === "list" && isList(old) && isList(found) && item !== undefined) {
    return found.map((element, index) => {
      const before = old[index];
      return before === undefined ? marked(item, element) : (merged(item, before, element) ?? element);
    });
  }
  return marked(field, found);
}

/** Objects as inputs have them: without empty properties, with an empty `__defaults`. */
function marked(field: Field, value: Value): Value {
  const { item } = field;
  if (isList(value) && item !== undefined) return value.map((element) => marked(item, element));
  if (field.type !== "object" || !isMap(value)) return value;
  const kept = Object.entries(value).filter(
    ([key, inner]) => inner !== null && canonical(field.fields?.[key] ?? field, inner) !== '""',
  );
  return { ...Object.fromEntries(kept), __defaults: [] };
}
