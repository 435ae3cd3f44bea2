import type { PostgresSighting } from "../../infra/hosts/postgres-sighting.ts";

/** Sites by name, as one look at all of them shows them. */
export type Sightings = ReadonlyMap<string, PostgresSighting>;

export type Verdict =
  /** `unseen`: sites that could not be asked, and whose silence does not stand in the way. */
  | { readonly kind: "go"; readonly unseen: readonly string[] }
  /** May change by itself: worth another look. */
  | { readonly kind: "wait"; readonly why: string }
  /** Nobody knows what it is: it must not go. */
  | { readonly kind: "unseen"; readonly message: string }
  /** It is the observed primary: it never goes. */
  | { readonly kind: "primary" };

/**
 * Whether a site's PostgreSQL container may be replaced now. A standby may, while another site is the primary and all
 * other standbys that can be asked stream from it. A site that cannot be asked itself never may.
 */
export function mayReplace(site: string, sightings: Sightings): Verdict {
  const own = sightings.get(site);
  if (own === undefined || own.kind === "idle") return { kind: "go", unseen: [] };
  if (own.kind === "primary") return { kind: "primary" };
  if (own.kind === "unseen") return own;
  const primary = primaryAmong(sightings);
  if (primary === undefined) {
    if (own.kind === "down" && own.startsAs === "primary") return { kind: "primary" };
    return { kind: "wait", why: `no site is seen to be the primary (${describe(sightings)})` };
  }
  const others = [...sightings].filter(([name]) => name !== site && name !== primary.name);
  const behind = others.filter(
    ([name, sighting]) =>
      sighting.kind !== "unseen" && sighting.kind !== "idle" && !primary.streaming.includes(name),
  );
  if (behind.length > 0) {
    const names = behind.map(([name]) => name).join(", ");
    return { kind: "wait", why: `${names} does not stream from ${primary.name} (${describe(sightings)})` };
  }
  return { kind: "go", unseen: others.filter(([, { kind }]) => kind === "unseen").map(([name]) => name) };
}

/** Whether a standby that was replaced has caught up with the primary; otherwise what it still lacks. */
export function isBack(site: string, sightings: Sightings): true | string {
  const primary = primaryAmong(sightings);
  if (primary === undefined) return `no site is seen to be the primary (${describe(sightings)})`;
  // A flip while it was away: it is what it should be.
  if (primary.name === site || primary.streaming.includes(site)) return true;
  return `it does not stream from ${primary.name} (${describe(sightings)})`;
}

function primaryAmong(
  sightings: Sightings,
): { readonly name: string; readonly streaming: readonly string[] } | undefined {
  for (const [name, sighting] of sightings)
    if (sighting.kind === "primary") return { name, streaming: sighting.streaming };
  return undefined;
}

/** `dal-01: primary; chi-02: standby`. */
export function describe(sightings: Sightings): string {
  return [...sightings].map(([name, sighting]) => `${name}: ${wordOf(sighting)}`).join("; ");
}

function wordOf(sighting: PostgresSighting): string {
  switch (sighting.kind) {
    case "idle":
      return sighting.why;
    case "down":
      return `not up, its data would start as a ${sighting.startsAs}`;
    case "unseen":
      return `cannot be asked: ${sighting.message}`;
    default:
      return sighting.kind;
  }
}
