import { createHash } from "node:crypto";

/**
 * Placeholders for a stack file's encrypted values, each made of its ciphertext: so a program runs without a
 * passphrase, and a value that was set anew is a change. Nothing is decrypted.
 * @param config the `config` mapping of `Pulumi.<stack>.yaml`
 */
export function placeholders(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const secrets = config["heatwave:secrets"] ?? config["secrets"];
  return isMapping(secrets) ? stood(secrets) : {};
}

function stood(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      if (!isMapping(inner)) return [];
      const { secure } = inner;
      return [[key, typeof secure === "string" ? placeholder(secure) : stood(inner)]];
    }),
  );
}

const placeholder = (ciphertext: string): string =>
  `placeholder-${createHash("sha256").update(ciphertext).digest("hex").slice(0, 32)}`;

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
