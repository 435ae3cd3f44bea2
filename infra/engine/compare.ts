import type { DiffKind, PropertyDiff } from "./providers/provider.ts";
import { formatPath } from "./property-path.ts";
import type { PathElement } from "./property-path.ts";
import { equal, isList, isMap, unwrap } from "./value-tools.ts";
import type { Value, ValueMap } from "./values.ts";

/** One leaf that differs; `before` or `after` is absent when only the other side has it. */
export interface Difference {
  readonly path: readonly PathElement[];
  readonly before: Value | undefined;
  readonly after: Value | undefined;
}

/** The leaves in which two maps differ, in key order. Keys that begin with `__` are the providers' own. */
export function differences(before: ValueMap, after: ValueMap): readonly Difference[] {
  const found: Difference[] = [];
  walk([], before, after, found);
  return found;
}

function walk(
  path: readonly PathElement[],
  before: Value | undefined,
  after: Value | undefined,
  found: Difference[],
): void {
  if (equal(before, after)) return;
  const a = before === undefined ? undefined : unwrap(before);
  const b = after === undefined ? undefined : unwrap(after);
  if (isMap(a) && isMap(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
    for (const key of keys) if (!key.startsWith("__")) walk([...path, key], a[key], b[key], found);
  } else if (isList(a) && isList(b)) {
    const length = Math.max(a.length, b.length);
    for (let i = 0; i < length; i += 1) walk([...path, i], a[i], b[i], found);
  } else {
    found.push({ path, before, after });
  }
}

/** `differences` in the form of `detailedDiff`. */
export function detailedDiff(before: ValueMap, after: ValueMap): Readonly<Record<string, PropertyDiff>> {
  return Object.fromEntries(
    differences(before, after).map(({ path, before: old, after: now }) => {
      const kind: DiffKind = old === undefined ? "add" : now === undefined ? "delete" : "update";
      return [formatPath(path), { kind, inputDiff: true }];
    }),
  );
}
