import { randomBytes } from "node:crypto";
import type { Overlay } from "../config/overlay.ts";

type SecretTree = Overlay["secrets"];

/**
 * A generated secret. Its first part is random and made to be searched for (a leak shows); the rest is every character
 * that a careless shell, format string, URL, connection string or configuration file would mangle.
 */
export function generateSecret(): string {
  return `${randomBytes(12).toString("hex")}'"%s $(id) \\n #;:@/=${randomBytes(3).toString("hex")}`;
}

/**
 * A value for every secret that the stack file names; one that an earlier overlay has is kept, since the running
 * cluster knows it. Nothing is decrypted: the tree is walked for its keys alone.
 */
export function generateSecrets(declared: unknown, kept: SecretTree = {}): SecretTree {
  if (typeof declared !== "object" || declared === null) return kept;
  const tree: SecretTree = {};
  for (const [key, value] of Object.entries(declared as Record<string, unknown>)) {
    const old = kept[key];
    if (isLeaf(value)) {
      tree[key] = typeof old === "string" ? old : generateSecret();
    } else {
      const inner = typeof old === "object" ? old : {};
      const names = Object.keys(value as object);
      tree[key] = Object.fromEntries(names.map((name) => [name, inner[name] ?? generateSecret()]));
    }
  }
  return tree;
}

/** A plain text, or Pulumi's `{secure: ...}`. */
function isLeaf(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === "secure";
}

/** The overlay of a world. @param images by key of `heatwave:images`; {} where the originals can be had */
export function buildOverlay(parts: {
  readonly world: string;
  readonly images: Overlay["images"];
  readonly hostKeys: Readonly<Record<string, string>>;
  readonly declaredSecrets: unknown;
  readonly earlier: Overlay | undefined;
}): Overlay {
  return {
    world: parts.world,
    images: parts.images,
    hostKeys: { ...parts.hostKeys },
    secrets: generateSecrets(parts.declaredSecrets, parts.earlier?.secrets),
    urls: {},
  };
}

/** The overlay for a reader: its four kinds, no secret's value. */
export function describeOverlay(overlay: Overlay): string[] {
  const secretNames = Object.entries(overlay.secrets).flatMap(([key, value]) =>
    typeof value === "string" ? [key] : Object.keys(value).map((name) => `${key}.${name}`),
  );
  const list = (values: readonly string[]) => (values.length === 0 ? "none" : values.join(", "));
  return [
    `images      ${list(Object.entries(overlay.images).map(([key, value]) => `${key} = ${value}`))}`,
    `host keys   ${list(Object.keys(overlay.hostKeys))}`,
    `secrets     ${list(secretNames)} (generated, nothing was decrypted)`,
    `URLs        ${list(Object.entries(overlay.urls).map(([key, value]) => `${key} = ${value}`))}`,
  ];
}
