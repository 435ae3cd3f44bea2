import { randomBytes } from "node:crypto";

import { isList, isMap, unwrap } from "../../value-tools.ts";
import { ResourceReference, Unknown } from "../../values.ts";
import type { Value, ValueMap } from "../../values.ts";
import { formatPath } from "../../property-path.ts";
import type { PathElement } from "../../property-path.ts";
import type { CheckFailure } from "../provider.ts";
import type { Field, Fields } from "./field.ts";

const LONGEST_NAME = 255;

/** Names a resource that gives itself none: `<name>-<7 hex>`. */
export function autoname(urn: string): string {
  const suffix = `-${randomBytes(4).toString("hex").slice(0, 7)}`;
  return urn.slice(urn.lastIndexOf("::") + 2).slice(0, LONGEST_NAME - suffix.length) + suffix;
}

export interface CheckRequest {
  readonly urn: string;
  readonly type: string;
  readonly fields: Fields;
  /** The property that gets a generated name when it is not written. */
  readonly nameProperty?: string;
  readonly olds: ValueMap | undefined;
  readonly news: ValueMap;
}

export interface CheckAnswer {
  readonly inputs: ValueMap;
  readonly failures: readonly CheckFailure[];
}

/** Checks inputs against the table and fills in defaults, naming them in `__defaults` as the bridge does. */
export function checkInputs(request: CheckRequest): CheckAnswer {
  const { fields, news, olds, nameProperty } = request;
  const failures: CheckFailure[] = [];
  const named = { ...news };
  let generated: string | undefined;
  if (nameProperty !== undefined && (news[nameProperty] ?? null) === null) {
    // A generated name lasts as long as the resource; it is only made anew for a new one.
    const old = namesDefault(olds, nameProperty) ? olds?.[nameProperty] : undefined;
    generated = nameProperty;
    named[nameProperty] = old ?? autoname(request.urn);
  }
  const checker = new Checker(request.type, failures);
  const inputs = checker.fields([], fields, named, generated);
  return { inputs, failures };
}

function namesDefault(map: ValueMap | undefined, key: string): boolean {
  const names = map?.["__defaults"];
  return isList(names) && names.includes(key);
}

class Checker {
  readonly #type: string;
  readonly #failures: CheckFailure[];

  constructor(type: string, failures: CheckFailure[]) {
    this.#type = type;
    this.#failures = failures;
  }

  fields(path: readonly PathElement[], fields: Fields, values: ValueMap, generated?: string): ValueMap {
    const checked: Record<string, Value> = {};
    const defaults: string[] = generated === undefined ? [] : [generated];
    for (const [key, value] of Object.entries(values)) {
      if (key.startsWith("__") || value === null) continue;
      const field = fields[key];
      if (field === undefined || field.outputOnly === true) this.#unknown([...path, key], fields);
      else if (field.refused !== undefined) this.#fail([...path, key], field.refused);
      else checked[key] = this.#value([...path, key], field, value);
    }
    for (const [key, field] of Object.entries(fields)) {
      if (checked[key] !== undefined || field.outputOnly === true) continue;
      if (field.default !== undefined) {
        checked[key] = field.default;
        defaults.push(key);
      } else if (field.required === true) {
        this.#fail([...path, key], `is required by ${this.#type}; write it`);
      }
    }
    return { ...sorted(checked), __defaults: defaults.sort() };
  }

  #value(path: readonly PathElement[], field: Field, written: Value): Value {
    const value = written instanceof ResourceReference ? (written.id ?? written.urn) : unwrap(written);
    if (value instanceof Unknown) return value;
    switch (field.type) {
      case "string":
        if (typeof value !== "string") return this.#wrong(path, value, "a string");
        if (field.pattern !== undefined && !field.pattern.test(value)) {
          return this.#wrong(path, value, `text that matches ${field.pattern.source}`);
        }
        return value;
      case "boolean":
        return typeof value === "boolean" ? value : this.#wrong(path, value, "true or false");
      case "integer": {
        const least = field.minimum ?? Number.MIN_SAFE_INTEGER;
        return typeof value === "number" && Number.isSafeInteger(value) && value >= least
          ? value
          : this.#wrong(
              path,
              value,
              field.minimum === undefined ? "a whole number" : `a whole number from ${field.minimum}`,
            );
      }
      case "list":
      case "set":
        if (!isList(value)) return this.#wrong(path, value, "an array");
        return value.map((item, index) => this.#item([...path, index], field, item));
      case "map":
        if (!isMap(value)) return this.#wrong(path, value, "an object");
        return Object.fromEntries(
          Object.entries(value)
            .filter(([key]) => !key.startsWith("__"))
            .map(([key, item]) => [key, this.#item([...path, key], field, item)]),
        );
      case "object":
        if (!isMap(value)) return this.#wrong(path, value, "an object");
        return this.fields(path, field.fields ?? {}, value);
    }
  }

  #item(path: readonly PathElement[], field: Field, value: Value): Value {
    return field.item === undefined ? value : this.#value(path, field.item, value);
  }

  #wrong(path: readonly PathElement[], value: Value, wanted: string): Value {
    this.#fail(path, `is ${show(value)}; write ${wanted}`);
    return value;
  }

  #unknown(path: readonly PathElement[], fields: Fields): void {
    const known = Object.entries(fields)
      .filter(([, field]) => field.outputOnly !== true)
      .map(([key]) => key);
    const name = String(path.at(-1));
    const near = known.find((key) => key.toLowerCase().startsWith(name.toLowerCase().slice(0, 4)));
    this.#fail(
      path,
      `is no input of ${this.#type}${near === undefined ? "" : `; did you mean ${near}?`} (known here: ${known.join(", ")})`,
    );
  }

  #fail(path: readonly PathElement[], reason: string): void {
    this.#failures.push({ property: formatPath(path), reason });
  }
}

function show(value: Value): string {
  return isMap(value) ? "an object" : isList(value) ? "an array" : JSON.stringify(value);
}

function sorted(map: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
