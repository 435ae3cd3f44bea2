/** The registry that a reference without one means, under all its names. */
const DEFAULT_REGISTRY = "docker.io";
const DEFAULT_REGISTRY_NAMES = new Set([DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io"]);

export interface ImageReference {
  readonly registry: string;
  /** Without registry, with `library/` where the default registry implies it. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** `sha256:…` */
  readonly digest: string | undefined;
}

/**
 * Reads `[registry/]repository[:tag][@digest]`.
 * @throws Error when the text is no reference
 */
export function parseImageReference(reference: string): ImageReference {
  const match = /^(?<name>[^@]+?)(?::(?<tag>\w[\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/.exec(
    reference,
  );
  const name = match?.groups?.["name"];
  if (name === undefined || !/^[a-z0-9][a-z0-9._/:-]*$/i.test(name)) {
    throw new Error(
      `${JSON.stringify(reference)} is no image reference; write name[:tag][@sha256:…], e.g. postgres:18`,
    );
  }
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const hasRegistry = slash > 0 && (/[.:]/.test(first) || first === "localhost");
  const registry = hasRegistry && !DEFAULT_REGISTRY_NAMES.has(first) ? first : DEFAULT_REGISTRY;
  const path = hasRegistry ? name.slice(slash + 1) : name;
  return {
    registry,
    repository: registry === DEFAULT_REGISTRY && !path.includes("/") ? `library/${path}` : path,
    tag: match?.groups?.["tag"],
    digest: match?.groups?.["digest"],
  };
}

export function imageRegistry(reference: string): string {
  return parseImageReference(reference).registry;
}

/** Compares registry addresses as they are written in logins: with or without scheme, path and alias. */
export function sameRegistry(address: string, registry: string): boolean {
  const bare = (text: string): string => {
    const host = text.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
    return DEFAULT_REGISTRY_NAMES.has(host) ? DEFAULT_REGISTRY : host;
  };
  return bare(address) === bare(registry);
}
