import { isList, isMap, unwrap } from "./value-tools.ts";
import { Secret } from "./values.ts";
import type { Value, ValueMap } from "./values.ts";

/** A key, an index, or `"*"` for any. */
export type PathElement = string | number;

/**
 * Reads Pulumi's property paths: `a.b[0]["x y"].*`.
 * @throws Error that names the path when a bracket or quote is not closed.
 */
export function parsePath(text: string): readonly PathElement[] {
  const elements: PathElement[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === ".") {
      at += 1;
    } else if (text.startsWith('["', at)) {
      const [key, next] = readQuoted(text, at + 2);
      elements.push(key);
      at = next;
    } else if (text[at] === "[") {
      const end = text.indexOf("]", at);
      const inner = text.slice(at + 1, end);
      if (end < 0 || !/^(\d+|\*)$/.test(inner))
        throw badPath(text, 'an index must be [number], [*] or ["key"]');
      elements.push(inner === "*" ? "*" : Number(inner));
      at = end + 1;
    } else {
      const rest = text.slice(at);
      const length = rest.search(/[.[]/);
      elements.push(length < 0 ? rest : rest.slice(0, length));
      at = length < 0 ? text.length : at + length;
    }
  }
  return elements;
}

function readQuoted(text: string, start: number): readonly [string, number] {
  let key = "";
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') {
      if (text[at + 1] !== "]") break;
      return [key, at + 2];
    }
    if (char === "\\" && text[at + 1] === '"') at += 1;
    key += text[at] ?? "";
  }
  throw badPath(text, 'a quoted key must end with "]');
}

function badPath(text: string, why: string): Error {
  return new Error(`property path ${JSON.stringify(text)} cannot be read: ${why}`);
}

/** Writes a path as Pulumi does; keys with other characters than letters, digits and `_` are quoted. */
export function formatPath(elements: readonly PathElement[]): string {
  return elements
    .map((element, index) => {
      if (typeof element === "number") return `[${element}]`;
      if (/^[A-Za-z0-9_]+$/.test(element)) return index === 0 ? element : `.${element}`;
      return `["${element.replaceAll('"', '\\"')}"]`;
    })
    .join("");
}

/** True when `pattern` names `path` or something that holds it; `*` stands for any one element. */
export function contains(pattern: readonly PathElement[], path: readonly PathElement[]): boolean {
  return (
    pattern.length <= path.length &&
    pattern.every((element, index) => element === "*" || element === path[index])
  );
}

/**
 * `news` with what the path names taken from `olds`; what `olds` lacks is removed. Used for `ignoreChanges`.
 * @throws Error when the containers on the way differ in kind, or an array would need a hole.
 */
export function resetAt(olds: ValueMap, news: ValueMap, pathText: string): ValueMap {
  const result = reset(olds, news, parsePath(pathText), pathText);
  return isMap(result) ? result : news;
}

function reset(
  olds: Value | undefined,
  news: Value | undefined,
  path: readonly PathElement[],
  text: string,
): Value | undefined {
  if (path.length === 0) return olds;
  if (news instanceof Secret) {
    const inner = reset(olds, news.value, path, text);
    return inner === undefined ? undefined : new Secret(inner);
  }
  const from = olds === undefined ? undefined : unwrap(olds);
  const [element, ...rest] = path;
  if (element === undefined || news === undefined) return news;
  if (isMap(news)) {
    const source = isMap(from) ? from : {};
    const keys =
      element === "*" ? new Set([...Object.keys(source), ...Object.keys(news)]) : [String(element)];
    const result: Record<string, Value> = { ...news };
    for (const key of keys) {
      // A nested path below a key that only one side has cannot be reset; Pulumi refuses it too.
      if (rest.length > 0 && (news[key] === undefined) !== (source[key] === undefined))
        throw cannotReset(text);
      const value = reset(source[key], news[key], rest, text);
      if (value === undefined) Reflect.deleteProperty(result, key);
      else result[key] = value;
    }
    return result;
  }
  if (isList(news)) {
    const source = isList(from) ? from : [];
    if (element === "*") {
      if (source.length !== news.length) throw cannotReset(text);
      return news.map((item, index) => reset(source[index], item, rest, text) ?? item);
    }
    const index = Number(element);
    if (index >= news.length && index >= source.length) return news;
    if (index >= news.length || index >= source.length) throw cannotReset(text);
    return news.map((item, at) => (at === index ? (reset(source[at], item, rest, text) ?? item) : item));
  }
  return news;
}

function cannotReset(text: string): Error {
  return new Error(
    `ignoreChanges: the path ${JSON.stringify(text)} exists only in the old or only in the new inputs; name a path that both have, or the property that holds it`,
  );
}
