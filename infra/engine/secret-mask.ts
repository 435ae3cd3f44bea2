import { isList, isMap, unwrap } from "./value-tools.ts";
import { Secret } from "./values.ts";
import type { Value, ValueMap } from "./values.ts";

/** Shorter texts are left alone: masking `no` or `1` would spoil every message and hide nothing. */
const SHORTEST = 4;
/**
 * The command provider marks a whole `connection` as secret. Which host refused whom is what its errors are read for,
 * so of one these may be read; a host from a secret of the configuration is noted as that.
 */
const OPEN_OF_CONNECTION: ReadonlySet<string> = new Set(["host", "user", "port", "hostKey"]);

/** Knows the secret texts of a run and keeps them out of messages, whoever wrote those. */
export class SecretMask {
  readonly #texts = new Set<string>();

  /** Notes one secret text. */
  addText(text: string): void {
    for (const form of [text, text.trim()]) if (form.length >= SHORTEST) this.#texts.add(form);
  }

  /** Notes every text inside a secret, wherever in the value that stands. */
  add(value: Value): void {
    this.#walk(value, false);
  }

  /** Notes the secrets among a resource's inputs or outputs. */
  addProperties(type: string, properties: ValueMap): void {
    for (const [key, value] of Object.entries(properties)) {
      if (key === "connection" && type.startsWith("command:remote:")) this.#addConnection(unwrap(value));
      else this.add(value);
    }
  }

  #addConnection(connection: Value): void {
    const parts = isMap(connection) ? connection : { connection };
    for (const [key, part] of Object.entries(parts)) {
      if (key === "proxy") this.#addConnection(unwrap(part));
      else this.add(OPEN_OF_CONNECTION.has(key) ? part : new Secret(part));
    }
  }

  #walk(value: Value, isSecret: boolean): void {
    if (value instanceof Secret) this.#walk(value.value, true);
    else if (isList(value)) for (const item of value) this.#walk(item, isSecret);
    else if (isMap(value)) for (const item of Object.values(value)) this.#walk(item, isSecret);
    else if (isSecret && typeof value === "string") this.addText(value);
    else if (isSecret && typeof value === "number") this.addText(String(value));
  }

  /** The message with `[secret]` in place of every secret text. */
  apply(message: string): string {
    let masked = message;
    // Longer ones first, so that no part of one is left when another begins with it.
    for (const text of [...this.#texts].sort((a, b) => b.length - a.length)) {
      if (masked.includes(text)) masked = masked.replaceAll(text, "[secret]");
    }
    return masked;
  }
}
