import type { LedgerEntry, Observation } from "../observe/observation.ts";

/** What the declared switchover does, from what its last run noted and what is seen. */
export type Ensured =
  /** It is so, or was decided by hand since: noted down, nothing moves. */
  | { readonly do: "note"; readonly why: string }
  | { readonly do: "flip"; readonly why: string }
  | { readonly do: "refuse"; readonly why: string; readonly next: string };

/**
 * @param last site that the last run noted; undefined where the resource is new
 */
export function ensurePrimary(
  seen: Observation & { readonly ledger: readonly LedgerEntry[] },
  declared: string,
  last: string | undefined,
): Ensured {
  const [primary, ...more] = seen.primaries;
  if (primary === declared && more.length === 0) return { do: "note", why: `${declared} takes the writes` };
  // Only a changed declaration moves anything: the command may run again for other reasons.
  if (last === declared)
    return {
      do: "note",
      why: `the stack file has declared ${declared} before; ${primary ?? "no site"} takes the writes`,
    };
  if (primary === undefined || more.length > 0)
    return {
      do: "refuse",
      why:
        primary === undefined
          ? "no site takes writes"
          : `two instances run as primary: ${seen.primaries.join(", ")}`,
      next: `bin/recovery ${seen.stack} topology`,
    };
  if (last !== undefined)
    return { do: "flip", why: `the stack file declares ${declared} instead of ${last}` };
  const epoch = Math.max(0, ...seen.sites.map((site) => site.grant?.epoch ?? 0));
  // Just founded, where the first site in the file founds and another one is declared.
  if (epoch === 1 && seen.ledger.length === 0)
    return { do: "flip", why: `the cluster is new, and the stack file declares ${declared}` };
  return {
    do: "refuse",
    why: `${primary} takes the writes, the stack file declares ${declared}, and this stack has never noted a primary: a new resource moves no running cluster`,
    next: `set heatwave:primary to ${primary} in Pulumi.${seen.stack}.yaml, \`pulumi up\`, then change it; or bin/recovery ${seen.stack} flip-db --to ${declared}`,
  };
}
