/**
 * Property values as the engine holds them: plain JSON plus the kinds that Pulumi's wire format marks with a
 * signature key. Providers receive and return these; `wire.ts` and `state.ts` translate at the edges.
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | ValueMap
  | Secret
  | Unknown
  | Asset
  | Archive
  | ResourceReference;

/** An object of values; keys with `undefined` do not occur. */
export interface ValueMap {
  readonly [key: string]: Value;
}

/** A value that is encrypted in state and masked in everything that is shown. */
export class Secret {
  readonly value: Value;
  constructor(value: Value) {
    this.value = value;
  }
}

/** A value that only an update will know (previews alone). */
export class Unknown {
  static readonly instance = new Unknown();
  /** Keeps TypeScript from taking any value at all for an `Unknown`: a class without members matches everything. */
  readonly unknown = true;
}

/** A file or text. `hash` is the sha256 (hex) of the bytes. */
export class Asset {
  readonly text: string | undefined;
  readonly path: string | undefined;
  readonly hash: string;
  constructor(source: { readonly text?: string; readonly path?: string }, hash: string) {
    this.text = source.text;
    this.path = source.path;
    this.hash = hash;
  }
}

/** A directory, an archive file, or a map of assets. `hash` as Pulumi computes it. */
export class Archive {
  readonly path: string | undefined;
  readonly assets: Readonly<Record<string, Asset | Archive>> | undefined;
  readonly hash: string;
  constructor(
    source: { readonly path?: string; readonly assets?: Readonly<Record<string, Asset | Archive>> },
    hash: string,
  ) {
    this.path = source.path;
    this.assets = source.assets;
    this.hash = hash;
  }
}

/** A reference to another resource of the same program. */
export class ResourceReference {
  readonly urn: string;
  readonly id: Value | undefined;
  constructor(urn: string, id?: Value) {
    this.urn = urn;
    this.id = id;
  }
}
