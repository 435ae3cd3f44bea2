import type { Value } from "../../values.ts";

/**
 * How a bridged provider describes one property: what may be written, what its absence means, and what a change
 * of it does. One table of these per resource drives check, diff, preview and import alike.
 */
export interface Field {
  readonly type: "string" | "boolean" | "integer" | "list" | "set" | "map" | "object";
  /** Of a list, set or map. */
  readonly item?: Field;
  /** Of an object. */
  readonly fields?: Fields;
  readonly required?: boolean;
  /** The daemon chooses when nothing is written; absence is then never a change. */
  readonly computed?: boolean;
  /** Never an input. */
  readonly outputOnly?: boolean;
  /** Written into the inputs when absent and named in `__defaults`. */
  readonly default?: Value;
  /** What the outputs hold when nothing is written. @default null */
  readonly blank?: Value;
  /**
   * Of a computed set: no read gives it, so that an import records null and the next plan makes one up (Terraform's SDK,
   * schemaMap.diffSet: two empty counts of a computed set are a difference).
   */
  readonly unread?: boolean;
  /** A change makes a new resource. */
  readonly replace?: boolean;
  /**
   * For a collection that replaces: which of its elements replace when they come, go or change while their number
   * stays. Terraform's rule is that the block's own flag counts for the number only. @default all
   */
  readonly elementReplaces?: (element: Value) => boolean;
  /** Writing "" says nothing. */
  readonly emptyIsUnset?: boolean;
  readonly pattern?: RegExp;
  readonly minimum?: number;
  /** Known to the real provider, not to this one: what to write instead. */
  readonly refused?: string;
  /** Overrules the comparison of old output and new input. */
  readonly same?: (before: Value, after: Value) => boolean;
}

export type Fields = Readonly<Record<string, Field>>;

type Rest = Omit<Field, "type" | "item" | "fields">;

export const text = (rest: Rest = {}): Field => ({ ...rest, type: "string" });
export const flag = (rest: Rest = {}): Field => ({ ...rest, type: "boolean" });
export const integer = (rest: Rest = {}): Field => ({ ...rest, type: "integer" });
export const listOf = (item: Field, rest: Rest = {}): Field => ({ ...rest, type: "list", item });
export const setOf = (item: Field, rest: Rest = {}): Field => ({ ...rest, type: "set", item });
export const mapOf = (item: Field, rest: Rest = {}): Field => ({ ...rest, type: "map", item });
export const object = (fields: Fields, rest: Rest = {}): Field => ({ ...rest, type: "object", fields });

/** What the absence of a value counts as when two values are compared. */
export function zero(field: Field): Value {
  if (field.default !== undefined) return field.default;
  if (field.blank !== undefined && field.blank !== null) return field.blank;
  switch (field.type) {
    case "string":
      return "";
    case "boolean":
      return false;
    case "integer":
      return 0;
    case "list":
    case "set":
      return [];
    case "map":
      return {};
    case "object":
      return null;
  }
}
