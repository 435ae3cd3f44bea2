import type { StackConfig } from "../../../infra/config/schema.ts";
import type { Site, Topology } from "../../../infra/topology/model.ts";
import { REPLICATION_ROLE } from "./roles.ts";

/** `pg_hba.conf` of one site: the same rules at every place, with the other sites' addresses. */
export function renderPgHba(topology: Topology, site: Site, postgres: StackConfig["postgres"]): string {
  const peers = topology.sites.filter((other) => other.name !== site.name);
  return [
    "# Rendered by heatwave. Declare further rules in the stack file: this file is replaced by the next `up`.",
    "# TYPE  DATABASE  USER  ADDRESS  METHOD",
    "",
    "# Operators inside the container.",
    rule("local", "all", "postgres", "", "peer"),
    "",
    "# The health endpoint, and applications through the PgBouncer beside it, by the shared socket.",
    rule("local", "all", REPLICATION_ROLE, "", "reject"),
    rule("local", "all", "all", "", "scram-sha-256"),
    "",
    "# The other sites' standbys and rewinds, by tailnet address.",
    ...peers.flatMap((peer) => [
      rule("host", "replication", REPLICATION_ROLE, `${peer.host.address}/32`, "scram-sha-256"),
      rule("host", "postgres", REPLICATION_ROLE, `${peer.host.address}/32`, "scram-sha-256"),
    ]),
    rule("host", "all", REPLICATION_ROLE, "all", "reject"),
    "",
    "# The superuser never comes over the network.",
    rule("host", "all", "postgres", "all", "reject"),
    "",
    "# What else is on this host's Docker network.",
    rule("host", "all", "all", "samenet", "scram-sha-256"),
    ...(postgres.hba.length === 0 ? [] : ["", "# Declared in the stack file."]),
    ...postgres.hba.map((declared) =>
      rule(declared.type, declared.database, declared.user, declared.address ?? "", declared.method),
    ),
    "",
  ].join("\n");
}

function rule(type: string, database: string, user: string, address: string, method: string): string {
  return [type.padEnd(6), database.padEnd(12), user.padEnd(21), address.padEnd(19), method]
    .join(" ")
    .trimEnd();
}
