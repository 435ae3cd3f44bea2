/** Reading a JSON file by hand, with errors that name the path, the value and what is allowed. */
import { readFileSync } from "node:fs";

/** A configuration that cannot be used; the message names file, path, value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

type Json = Readonly<Record<string, unknown>>;

/** Walks a parsed JSON value; every getter throws a {@link ConfigError} that names the path. */
export class Reader {
  readonly #value: Json;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new ConfigError(`${path}: ${show(value)} is not an object`);
    this.#value = value as Json;
    this.#path = path;
  }

  at(key: string): string {
    return `${this.#path}.${key}`;
  }

  only(...keys: readonly string[]): this {
    for (const key of Object.keys(this.#value))
      if (!keys.includes(key))
        throw new ConfigError(`${this.at(key)}: unknown key; known are ${keys.join(", ")}`);
    return this;
  }

  text(key: string, pattern: RegExp, fallback?: string): string {
    const value = this.#value[key] ?? fallback;
    if (typeof value !== "string" || !pattern.test(value))
      throw new ConfigError(`${this.at(key)}: ${show(value)} does not match ${String(pattern)}`);
    return value;
  }

  number(key: string, least: number, most: number, fallback?: number): number {
    const value = this.#value[key] ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most)
      throw new ConfigError(`${this.at(key)}: ${show(value)} is not a whole number from ${least} to ${most}`);
    return value;
  }

  object(key: string): Reader {
    return new Reader(this.#value[key] ?? {}, this.at(key));
  }

  has(key: string): boolean {
    return this.#value[key] !== undefined;
  }

  list(key: string): readonly Reader[] {
    const value = this.#value[key];
    if (!Array.isArray(value) || value.length === 0)
      throw new ConfigError(`${this.at(key)}: ${show(value)} is not a list with at least one entry`);
    return value.map((entry, index) => new Reader(entry, `${this.at(key)}[${index}]`));
  }
}

/** A value as an error quotes it. */
export function show(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}

/** Reads and parses a JSON file. @throws {@link ConfigError} that never quotes the file's text. */
export function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(`${path}: is not JSON`);
  }
}
