import type { StackConfig } from "../config/schema.ts";
import { RunbookError } from "../runbooks/runbook-error.ts";

/** Which site is converted next, and what of the stack file that changes. Pure. */

export interface Conversion {
  /** Its place among `sites`. */
  readonly at: number;
  readonly site: string;
  readonly host: string;
  readonly containers: readonly string[];
  /** Routers that are made anew beside it: with the last standby, or the stack's only site. */
  readonly routers: readonly { readonly host: string; readonly container: string }[];
  /** No other site runs as it was found afterwards. */
  readonly last: boolean;
}

/** @throws {RunbookError} refused, where it is not this site's turn */
export function planConversion(
  stack: string,
  { adopted, sites, routers, primary }: Pick<StackConfig, "adopted" | "sites" | "routers" | "primary">,
  name: string,
): Conversion {
  const refused = (why: string, next: string): RunbookError => new RunbookError("refused", why, next);
  const at = sites.findIndex((site) => site.name === name);
  const site = sites[at];
  if (site === undefined)
    throw refused(
      `${name} is no site of the stack: ${sites.map((one) => one.name).join(", ")}`,
      `bin/adopt ${stack} --convert SITE, with one of them`,
    );
  const found = sites.filter((one) => Object.hasOwn(adopted?.[one.host] ?? {}, one.containers.postgres));
  if (!found.includes(site))
    throw refused(
      `${name} does not run as it was found: heatwave:adopted does not list ${site.containers.postgres} on ${site.host}`,
      found.length === 0
        ? `bin/adopt ${stack} --write adopts it first`
        : `it is ${found.map((one) => one.name).join(" or ")} that can be converted`,
    );
  const last = found.length === 1;
  if (name === primary && sites.length > 1) {
    const standbys = found.filter((one) => one.name !== name).map((one) => one.name);
    const [converted] = sites.filter((one) => !found.includes(one)).map((one) => one.name);
    throw standbys.length > 0
      ? refused(
          `${name} is heatwave:primary, and ${standbys.join(", ")} still run as they were found: the primary is converted last`,
          `bin/adopt ${stack} --convert ${standbys[0] ?? ""}`,
        )
      : refused(
          `${name} is heatwave:primary: its PostgreSQL would be stopped with the writes on it`,
          `bin/recovery ${stack} flip-db --to ${converted ?? "SITE"}, then this again`,
        );
  }
  const withRouters = sites.length === 1 || found.length === 2;
  return {
    ...{ at, site: name, host: site.host, containers: Object.values(site.containers), last },
    routers: withRouters ? routers.map(({ host, container }) => ({ host, container })) : [],
  };
}
