import type { Finding } from "./problem.ts";
import type { StackConfig } from "./schema.ts";

const WRITTEN = "let `bin/adopt ENV --write` write it again";

/** A stack is adopted as a whole: what is declared is what was found, no more and no less. */
export function adoptionRules({ adopted, sites, routers }: StackConfig): Finding[] {
  if (adopted === undefined) return [];
  const declared = new Map<string, string[]>();
  const declare = (host: string, ...names: readonly string[]): void =>
    void declared.set(host, [...(declared.get(host) ?? []), ...names]);
  for (const { host, containers } of sites) declare(host, ...Object.values(containers));
  for (const { host, container } of routers) declare(host, container);
  const findings: Finding[] = [];
  for (const [host, ids] of Object.entries(adopted)) {
    const names = declared.get(host) ?? [];
    for (const name of Object.keys(ids).filter((one) => !names.includes(one)))
      findings.push({
        path: ["adopted", host, name],
        value: ids[name],
        allowed: names.length === 0 ? "a host that a site or a router names" : `one of ${names.join(", ")}`,
        fix: WRITTEN,
      });
  }
  for (const [host, names] of declared) {
    // A host or a container may be called `constructor`.
    const ids = Object.hasOwn(adopted, host) ? (adopted[host] ?? {}) : {};
    for (const name of names.filter((one) => !Object.hasOwn(ids, one)))
      findings.push({
        path: ["adopted", host],
        value: Object.keys(ids).join(", "),
        allowed: `the id of ${name} as well`,
        fix: WRITTEN,
      });
  }
  for (const [at, site] of sites.entries())
    if (site.retired)
      findings.push({
        path: ["sites", at, "retired"],
        value: true,
        allowed: "false while the stack is adopted",
        fix: "stop it by hand, and declare the sites that stay alone",
      });
  return findings;
}
