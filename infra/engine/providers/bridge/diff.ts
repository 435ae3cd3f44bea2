import { formatPath } from "../../property-path.ts";
import type { PathElement } from "../../property-path.ts";
import { equal, isList, isMap, unwrap } from "../../value-tools.ts";
import { Unknown } from "../../values.ts";
import type { Value, ValueMap } from "../../values.ts";
import type { DiffKind, DiffResult, PropertyDiff } from "../provider.ts";
import { zero } from "./field.ts";
import type { Field, Fields } from "./field.ts";

export interface DiffRequest {
  readonly fields: Fields;
  readonly oldInputs: ValueMap;
  readonly oldOutputs: ValueMap;
  readonly news: ValueMap;
}

interface Change {
  readonly path: readonly PathElement[];
  readonly kind: "add" | "delete" | "update";
}

/**
 * Compares what is recorded (the outputs, as the bridge does, so that a refreshed drift shows) with what is
 * wanted. Sets compare without order; what the daemon chooses is no change while nothing is written.
 */
export function diffInputs(request: DiffRequest): Omit<DiffResult, "deleteBeforeReplace"> {
  const { fields, oldInputs, oldOutputs, news } = request;
  const detailed: Record<string, PropertyDiff> = {};
  const replaces: string[] = [];
  for (const [key, field] of Object.entries(fields)) {
    if (field.outputOnly === true) continue;
    const before = key in oldOutputs ? oldOutputs[key] : oldInputs[key];
    const changes = compare([key], field, before, news[key]);
    if (changes.length === 0) continue;
    const inputDiff = !equal(oldInputs[key], news[key]);
    for (const { path, kind } of changes) {
      const full: DiffKind = field.replace === true ? `${kind}-replace` : kind;
      detailed[formatPath(path)] = { kind: full, inputDiff };
    }
    if (field.replace === true) replaces.push(key);
  }
  return { changes: Object.keys(detailed).length > 0, replaces, detailed };
}

function compare(
  path: readonly PathElement[],
  field: Field,
  oldValue: Value | undefined,
  newValue: Value | undefined,
): readonly Change[] {
  const before = oldValue === undefined || oldValue === null ? undefined : unwrap(oldValue);
  const after = newValue === undefined || newValue === null ? undefined : unwrap(newValue);
  if (after instanceof Unknown) return [{ path, kind: before === undefined ? "add" : "update" }];
  if (after === undefined && field.computed === true) return [];
  if (field.emptyIsUnset === true && (after === undefined || after === "")) return [];
  if (field.same !== undefined && before !== undefined && after !== undefined && field.same(before, after)) {
    return [];
  }
  if (canonical(field, before) === canonical(field, after)) return [];
  if (before === undefined) return [{ path, kind: "add" }];
  if (after === undefined) return [{ path, kind: "delete" }];
  if (field.type === "set" && isList(before) && isList(after)) return compareSets(path, field, before, after);
  if (field.type === "list" && isList(before) && isList(after)) {
    const longest = Math.max(before.length, after.length);
    return Array.from({ length: longest }, (_, index) => index).flatMap((index) =>
      compare([...path, index], field.item ?? field, before[index], after[index]),
    );
  }
  if (isMap(before) && isMap(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys
      .filter((key) => !key.startsWith("__"))
      .flatMap((key) => {
        const inner = field.type === "object" ? field.fields?.[key] : field.item;
        return inner === undefined ? [] : compare([...path, key], inner, before[key], after[key]);
      });
  }
  return [{ path, kind: "update" }];
}

/** Elements that only the old set has go by their old place, those only the new has by their new one. */
function compareSets(
  path: readonly PathElement[],
  field: Field,
  before: readonly Value[],
  after: readonly Value[],
): readonly Change[] {
  const item = field.item ?? field;
  const oldKeys = before.map((value) => canonical(item, value));
  const newKeys = after.map((value) => canonical(item, value));
  const gone = oldKeys.flatMap((key, index) => (newKeys.includes(key) ? [] : [index]));
  const come = newKeys.flatMap((key, index) => (oldKeys.includes(key) ? [] : [index]));
  const kinds = new Map<number, Change["kind"]>();
  for (const index of gone) kinds.set(index, "delete");
  for (const index of come) kinds.set(index, kinds.has(index) ? "update" : "add");
  return [...kinds]
    .sort(([a], [b]) => a - b)
    .map(([index, kind]) => ({ path: [...path, index], kind }) satisfies Change);
}

/** A text that is the same exactly for values that count as the same. */
export function canonical(field: Field, value: Value | undefined): string {
  return JSON.stringify(normal(field, value));
}

let unknowns = 0;

function normal(field: Field, written: Value | undefined): unknown {
  const value = written === undefined || written === null ? zero(field) : unwrap(written);
  // Nothing equals what is not known yet, not even itself.
  if (value instanceof Unknown) return `\0unknown ${(unknowns += 1)}`;
  if (value === null) return null;
  const item = field.item;
  if (field.type === "set" && isList(value) && item !== undefined) {
    return [...new Set(value.map((element) => canonical(item, element)))].sort();
  }
  if (field.type === "list" && isList(value) && item !== undefined) {
    return value.map((element) => normal(item, element));
  }
  if (field.type === "map" && isMap(value)) {
    return Object.entries(value)
      .filter(([key]) => !key.startsWith("__"))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, element]) => [key, item === undefined ? element : normal(item, element)]);
  }
  if (field.type === "object" && isMap(value)) {
    return Object.entries(field.fields ?? {}).map(([key, inner]) => [key, normal(inner, value[key])]);
  }
  return value;
}
