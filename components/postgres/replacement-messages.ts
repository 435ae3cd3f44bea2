import type { Site, Topology } from "../../infra/topology/model.ts";

/** What to run before `up` may replace a site's PostgreSQL container. */
function commands(topology: Topology, site: Site, stack: string): string {
  const [target] = topology.sites.filter(({ name }) => name !== site.name);
  if (target === undefined)
    return [
      "There is no other site that could take the writes meanwhile. Stop it by hand when that suits the applications, then run it again:",
      `  ssh ${site.host.ssh.user}@${site.host.address} docker stop ${site.postgres.container}`,
      "  pulumi up",
    ].join("\n");
  return [
    "Move the writes to another site first, then run it again:",
    `  bin/recovery ${stack} flip-db --to ${target.name}`,
    "  pulumi up",
  ].join("\n");
}

/** Why `up` stops at the primary's container, and what to do. */
export function refusalOfPrimary(topology: Topology, site: Site, stack: string): string {
  return [
    `${site.name} is the primary now, and \`up\` never replaces the primary's PostgreSQL container (${site.postgres.container} on ${site.host.name}). It was left as it is.`,
    commands(topology, site, stack),
  ].join("\n");
}

/** The same before it happens, as far as the stack file alone can tell. */
export function refusalForPreview(topology: Topology, site: Site, stack: string): string {
  return [
    `${site.name} is the declared primary. \`up\` replaces the standbys' PostgreSQL containers one at a time and then refuses this one (${site.postgres.container}), if ${site.name} is still the primary then.`,
    commands(topology, site, stack),
  ].join("\n");
}

/** Why nothing of a site goes that has merely left the stack file. @param name of its container's resource */
export function refusalOfLeaving(name: string): string {
  const site = name.replace(/-site-postgres$/, "");
  return (
    `${site} has left the stack file without being retired. Nothing of it is deleted: its slots and its place in the other sites' grants would stay behind.\n` +
    `Put its entry and its host back with \`retired: true\`, run \`pulumi up\`, and take them out afterwards (docs/migration.md).`
  );
}
