import { isList, isMap, unwrap } from "../value-tools.ts";
import { Unknown } from "../values.ts";
import type { Value, ValueMap } from "../values.ts";

/**
 * Readers of checked inputs. Check has settled the kinds, so a value of another kind here is a fault of the
 * engine and is named as one.
 */
function read<Result>(
  map: ValueMap,
  key: string,
  wanted: string,
  narrow: (value: Value) => Result | undefined,
): Result | undefined {
  const value = map[key];
  if (value === undefined || value === null) return undefined;
  const inner = unwrap(value);
  if (inner instanceof Unknown) throw new Error(`${key} is not known yet; nothing can be done with it`);
  const result = narrow(inner);
  if (result === undefined) throw new Error(`${key} must be ${wanted}`);
  return result;
}

export const readText = (map: ValueMap, key: string): string | undefined =>
  read(map, key, "a string", (value) => (typeof value === "string" ? value : undefined));

export const readNumber = (map: ValueMap, key: string): number | undefined =>
  read(map, key, "a number", (value) => (typeof value === "number" ? value : undefined));

export const readFlag = (map: ValueMap, key: string): boolean | undefined =>
  read(map, key, "true or false", (value) => (typeof value === "boolean" ? value : undefined));

export const readMap = (map: ValueMap, key: string): ValueMap | undefined =>
  read(map, key, "an object", (value) => (isMap(value) ? value : undefined));

/** The strings of an array; [] when absent. */
export const readTexts = (map: ValueMap, key: string): string[] =>
  read(map, key, "an array of strings", (value) => {
    if (!isList(value)) return undefined;
    const texts = value.map((item) => unwrap(item)).filter((item) => typeof item === "string");
    return texts.length === value.length ? texts : undefined;
  }) ?? [];

/** The objects of an array; [] when absent. */
export const readMaps = (map: ValueMap, key: string): ValueMap[] =>
  read(map, key, "an array of objects", (value) => {
    if (!isList(value)) return undefined;
    const maps = value.map((item) => unwrap(item)).filter((item) => isMap(item));
    return maps.length === value.length ? maps : undefined;
  }) ?? [];

/** An object of strings; undefined when absent. */
export const readTextMap = (map: ValueMap, key: string): Record<string, string> | undefined =>
  read(map, key, "an object of strings", (value) => {
    if (!isMap(value)) return undefined;
    const entries = Object.entries(value).filter(([name]) => !name.startsWith("__"));
    const texts = entries.flatMap(([name, item]): [string, string][] => {
      const inner = unwrap(item);
      return typeof inner === "string" ? [[name, inner]] : [];
    });
    return texts.length === entries.length ? Object.fromEntries(texts) : undefined;
  });
