import type { Crypter } from "./secrets.ts";
import * as mark from "./signatures.ts";
import { isList, isMap } from "./value-tools.ts";
import { ResourceReference, Secret, Unknown, Asset, Archive } from "./values.ts";
import type { Value, ValueMap } from "./values.ts";
import { archiveOf, assetOf, signedFile } from "./wire.ts";

/** Plain JSON as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonMap = Readonly<Record<string, Json>>;

/** Writes a secret's JSON text the way its place wants it: encrypted in state, masked or open in displays. */
export type SealSecret = (secret: Secret, plaintext: () => string) => Json;

/** Turns values into the JSON of Pulumi's state; `seal` says what becomes of secrets. */
export function toJson(value: Value, seal: SealSecret): Json {
  if (typeof value === "number" && !Number.isFinite(value))
    return { [mark.SIGNATURE]: mark.FLOAT, value: String(value) };
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Unknown) return mark.UNKNOWN_STRING;
  if (value instanceof Secret) {
    return seal(value, () => JSON.stringify(toJson(value.value, nestedSecret)));
  }
  if (value instanceof Asset || value instanceof Archive) return mapToJson(signedFile(value), seal);
  if (value instanceof ResourceReference) {
    const id = value.id === undefined ? {} : { id: value.id };
    return mapToJson({ [mark.SIGNATURE]: mark.REFERENCE, urn: value.urn, ...id }, seal);
  }
  if (isList(value)) return value.map((item) => toJson(item, seal));
  return isMap(value) ? mapToJson(value, seal) : null;
}

export function mapToJson(map: ValueMap, seal: SealSecret): JsonMap {
  return Object.fromEntries(Object.entries(map).map(([key, item]) => [key, toJson(item, seal)]));
}

/** Inside an encrypted secret, a further one stands in clear: the outer seal covers it. */
const nestedSecret: SealSecret = (_secret, plaintext) => ({
  [mark.SIGNATURE]: mark.SECRET,
  ciphertext: plaintext(),
});

/** `[secret]` in place of every secret, as previews and outputs show them. */
export const maskSecret: SealSecret = () => "[secret]";
/** The bare value in place of every secret, for `--show-secrets`. */
export const openSecret: SealSecret = (secret) => toJson(secret.value, openSecret);

/** Encrypts; a secret object that was decrypted or encrypted before keeps its ciphertext. */
export class StateSeal {
  readonly #crypter: Crypter | undefined;
  readonly #known = new WeakMap<Secret, string>();

  constructor(crypter: Crypter | undefined) {
    this.#crypter = crypter;
  }

  remember(secret: Secret, ciphertext: string): void {
    this.#known.set(secret, ciphertext);
  }

  readonly seal: SealSecret = (secret, plaintext) => {
    let ciphertext = this.#known.get(secret);
    if (ciphertext === undefined) {
      if (this.#crypter === undefined) throw new Error(NO_PASSPHRASE);
      ciphertext = this.#crypter.encrypt(plaintext());
      this.#known.set(secret, ciphertext);
    }
    return { [mark.SIGNATURE]: mark.SECRET, ciphertext };
  };
}

export const NO_PASSPHRASE =
  "the stack has secrets, but no passphrase is set: set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE";

/** Opens a ciphertext of state; gives the plaintext JSON. */
export type OpenSecret = (ciphertext: string) => string;

/** Reads the JSON of Pulumi's state. `opened` is told of each secret with the text it came from. */
export function fromJson(
  json: Json,
  open: OpenSecret,
  opened: (secret: Secret, ciphertext: string) => void,
): Value {
  if (json === null || typeof json !== "object") return json;
  if (Array.isArray(json)) return (json as readonly Json[]).map((item) => fromJson(item, open, opened));
  const map = json as JsonMap;
  const signature = map[mark.SIGNATURE];
  if (signature === mark.SECRET) return openJson(map, open, opened);
  if (signature === mark.FLOAT) return Number(map["value"]);
  const decoded = mapFromJson(map, open, opened);
  switch (signature) {
    case undefined:
      return decoded;
    case mark.ASSET:
      return assetOf(decoded);
    case mark.ARCHIVE:
      return archiveOf(decoded);
    case mark.REFERENCE:
      return new ResourceReference(typeof decoded["urn"] === "string" ? decoded["urn"] : "", decoded["id"]);
    default:
      throw new Error(
        `the embedded engine does not know state values with the signature ${JSON.stringify(signature)}`,
      );
  }
}

export function mapFromJson(
  map: JsonMap,
  open: OpenSecret,
  opened: (secret: Secret, ciphertext: string) => void,
): ValueMap {
  return Object.fromEntries(Object.entries(map).map(([key, item]) => [key, fromJson(item, open, opened)]));
}

function openJson(
  map: JsonMap,
  open: OpenSecret,
  opened: (secret: Secret, ciphertext: string) => void,
): Secret {
  const { plaintext, ciphertext } = map;
  const text =
    typeof plaintext === "string" ? plaintext : open(typeof ciphertext === "string" ? ciphertext : "");
  // Inside a secret the nested ones are plain JSON text already.
  const secret = new Secret(
    fromJson(
      JSON.parse(text) as Json,
      (inner) => inner,
      () => undefined,
    ),
  );
  if (typeof ciphertext === "string") opened(secret, ciphertext);
  return secret;
}
