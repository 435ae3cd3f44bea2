import { formatPath } from "../../property-path.ts";
import type { PathElement } from "../../property-path.ts";
import { isList, isMap, unwrap } from "../../value-tools.ts";
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
  const changed = Object.entries(fields).flatMap(([key, field]) => {
    if (field.outputOnly === true) return [];
    const before = present(key in oldOutputs ? oldOutputs[key] : oldInputs[key]);
    const after = present(news[key]);
    // An import has recorded that it cannot read it: a value is planned anew.
    const unread = field.unread === true && oldOutputs[key] === null && after === undefined;
    const changes: readonly Change[] = unread
      ? [{ path: [key], kind: "add" }]
      : compare([key], field, before, after);
    return changes.length === 0 ? [] : [{ key, field, changes, forces: forces(field, before, after) }];
  });
  // Once anything forces a replacement, every change of a replacing property counts as one.
  const replacing = changed.some(({ forces: one }) => one);
  const detailed: Record<string, PropertyDiff> = {};
  const replaces: string[] = [];
  for (const { key, field, changes } of changed) {
    const replaced = replacing && field.replace === true;
    if (replaced) replaces.push(key);
    for (const { path, kind } of changes) {
      // The bridge compares states, so it never says that inputs differ.
      detailed[formatPath(path)] = { kind: replaced ? REPLACE_KINDS[kind] : kind, inputDiff: false };
    }
  }
  return { changes: changed.length > 0, replaces, detailed };
}

const REPLACE_KINDS = {
  add: "add-replace",
  delete: "delete-replace",
  update: "update-replace",
} as const satisfies Record<Change["kind"], DiffKind>;

function present(value: Value | undefined): Value | undefined {
  return value === undefined || value === null ? undefined : unwrap(value);
}

/** Whether a change of this property makes a new resource by itself. */
function forces(field: Field, before: Value | undefined, after: Value | undefined): boolean {
  if (field.replace !== true) return false;
  const { elementReplaces } = field;
  if (elementReplaces === undefined || after instanceof Unknown) return true;
  if (count(before) !== count(after)) return true;
  const item = field.item;
  if (item === undefined || !isList(before) || !isList(after)) return false;
  const [old, wanted] = [before, after].map((list) => new Set(list.map((value) => canonical(item, value))));
  const touched = [
    ...before.filter((value) => wanted?.has(canonical(item, value)) !== true),
    ...after.filter((value) => old?.has(canonical(item, value)) !== true),
  ];
  return touched.some((value) => elementReplaces(value));
}

/** The number of blocks: a single one counts as a list of one. */
function count(value: Value | undefined): number {
  return value === undefined ? 0 : isList(value) ? value.length : 1;
}

function isEmpty(value: Value | undefined): boolean {
  if (value === undefined || value === null) return true;
  return isList(value) ? value.length === 0 : isMap(value) && Object.keys(value).length === 0;
}

function compare(
  path: readonly PathElement[],
  field: Field,
  before: Value | undefined,
  after: Value | undefined,
): readonly Change[] {
  if (after instanceof Unknown) return [{ path, kind: before === undefined ? "add" : "update" }];
  if (after === undefined && field.computed === true) return [];
  if (field.emptyIsUnset === true && (after === undefined || after === "")) return [];
  if (field.same !== undefined && before !== undefined && after !== undefined && field.same(before, after)) {
    return [];
  }
  if (canonical(field, before) === canonical(field, after)) return [];
  if (field.type === "map" && isMap(before)) {
    return compareKeys(path, () => field.item, before, isMap(after) ? after : {});
  }
  if (isEmpty(before)) return [{ path, kind: "add" }];
  if (isEmpty(after)) return [{ path, kind: field.default === undefined ? "delete" : "update" }];
  if (field.type === "set" && isList(before) && isList(after)) return compareSets(path, field, before, after);
  if (field.type === "list" && isList(before) && isList(after)) {
    const longest = Math.max(before.length, after.length);
    return Array.from({ length: longest }, (_, index) => index).flatMap((index) =>
      compare([...path, index], field.item ?? field, present(before[index]), present(after[index])),
    );
  }
  if (isMap(before) && isMap(after)) return compareKeys(path, (key) => field.fields?.[key], before, after);
  return [{ path, kind: "update" }];
}

function compareKeys(
  path: readonly PathElement[],
  fieldOf: (key: string) => Field | undefined,
  before: ValueMap,
  after: ValueMap,
): readonly Change[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.flatMap((key) => {
    const field = fieldOf(key);
    if (key.startsWith("__") || field === undefined) return [];
    return compare([...path, key], field, present(before[key]), present(after[key]));
  });
}

/** Elements that only the old set has go by their old place, those only the new has by their new one. */
function compareSets(
  path: readonly PathElement[],
  field: Field,
  before: readonly Value[],
  after: readonly Value[],
): readonly Change[] {
  const item = field.item ?? field;
  if (before.length === 1 && after.length === 1) {
    // A single object is compared property by property.
    return item.type === "object"
      ? compare([...path, 0], item, present(before[0]), present(after[0]))
      : [{ path, kind: "update" }];
  }
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
