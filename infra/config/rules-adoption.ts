import type { Finding } from "./problem.ts";
import type { StackConfig } from "./schema.ts";

const WRITTEN = "let `bin/adopt ENV --write` write it again";

/**
 * What is listed runs as it was found. A site is so as a whole, or it is converted; routers are converted with the last
 * standby, since the writes then leave the primary that was found through them.
 */
export function adoptionRules(config: StackConfig): Finding[] {
  const { adopted } = config;
  if (adopted === undefined) return [];
  return [...strangers(config), ...siteFindings(config, adopted), ...routerFindings(config, adopted)];
}

type Adopted = NonNullable<StackConfig["adopted"]>;

/** A host or a container may be called `constructor`. */
function idsOn(adopted: Adopted, host: string): Readonly<Record<string, string>> {
  return Object.hasOwn(adopted, host) ? (adopted[host] ?? {}) : {};
}

function strangers({ adopted, sites, routers }: StackConfig): Finding[] {
  const declared = new Map<string, string[]>();
  const declare = (host: string, ...names: readonly string[]): void =>
    void declared.set(host, [...(declared.get(host) ?? []), ...names]);
  for (const { host, containers } of sites) declare(host, ...Object.values(containers));
  for (const { host, container } of routers) declare(host, container);
  return Object.entries(adopted ?? {}).flatMap(([host, ids]) => {
    const names = declared.get(host) ?? [];
    return Object.keys(ids)
      .filter((name) => !names.includes(name))
      .map((name) => ({
        path: ["adopted", host, name],
        value: ids[name],
        allowed: names.length === 0 ? "a host that a site or a router names" : `one of ${names.join(", ")}`,
        fix: WRITTEN,
      }));
  });
}

function missing(adopted: Adopted, host: string, names: readonly string[]): Finding[] {
  const ids = idsOn(adopted, host);
  return names
    .filter((name) => !Object.hasOwn(ids, name))
    .map((name) => ({
      path: ["adopted", host],
      value: Object.keys(ids).join(", "),
      allowed: `the id of ${name} as well`,
      fix: WRITTEN,
    }));
}

function siteFindings({ sites, routers, primary }: StackConfig, adopted: Adopted): Finding[] {
  return sites.flatMap((site, at): Finding[] => {
    const path = ["sites", at] as const;
    const names = Object.values(site.containers);
    const listed = names.filter((name) => Object.hasOwn(idsOn(adopted, site.host), name));
    if (site.retired)
      return [
        {
          path: [...path, "retired"],
          value: true,
          allowed: "false while the stack is adopted",
          fix: "stop it by hand, and declare the sites that stay alone",
        },
      ];
    if (!site.converted) return missing(adopted, site.host, names);
    if (listed.length > 0)
      return [
        {
          path: [...path, "converted"],
          value: true,
          allowed: `false while heatwave:adopted lists ${listed.join(", ")}`,
          fix: `let \`bin/adopt ENV --convert ${site.name}\` write both`,
        },
      ];
    if (site.name === primary && routers.some((router) => isListed(adopted, router)))
      return [
        {
          path: [...path, "converted"],
          value: true,
          allowed: `false while other sites run as they were found: ${site.name} is heatwave:primary`,
          fix: "convert the standbys first, one at a time; then move the writes (docs/adoption.md)",
        },
      ];
    return [];
  });
}

function routerFindings({ sites, routers }: StackConfig, adopted: Adopted): Finding[] {
  const found = sites.filter(({ converted, retired }) => !converted && !retired).length;
  const ours = routers.filter((router) => !isListed(adopted, router));
  const first = ours[0];
  if (found === 0)
    return [
      {
        path: ["adopted"],
        value: Object.keys(adopted).join(", "),
        allowed: "nothing, once every site is converted",
        fix: "take heatwave:adopted out",
      },
    ];
  // A stack of one site has nobody who could take the writes over: its routers are made anew with it.
  const withTheirs = found === 1 && sites.length > 1;
  if (!withTheirs) return routers.flatMap(({ host, container }) => missing(adopted, host, [container]));
  if (first === undefined || ours.length === routers.length)
    return first === undefined && routers.length > 0
      ? [
          {
            path: ["adopted"],
            value: routers.map(({ container }) => container).join(", "),
            allowed: "no router, once one site alone runs as it was found",
            fix: "let `bin/adopt ENV --convert SITE` write the last standby's conversion, routers and all",
          },
        ]
      : [];
  return routers
    .filter((router) => isListed(adopted, router))
    .map(({ host, container }) => ({
      path: ["adopted", host, container],
      value: idsOn(adopted, host)[container],
      allowed: `nothing, as for ${first.container} on ${first.host}: all routers are converted at once`,
      fix: "let `bin/adopt ENV --convert SITE` write it",
    }));
}

function isListed(adopted: Adopted, { host, container }: StackConfig["routers"][number]): boolean {
  return Object.hasOwn(idsOn(adopted, host), container);
}
