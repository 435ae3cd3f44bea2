import type { StackConfig } from "../../../infra/config/schema.ts";
import type { Site, Topology } from "../../../infra/topology/model.ts";

type Setting = readonly [name: string, value: string | number | boolean];

/** Where the container keeps its socket and what the health endpoint writes for a standby. */
export const RUN_DIRECTORY = "/run/heatwave";
/** PostgreSQL's unix socket, shared with the health endpoint. */
export const SOCKET_DIRECTORY = `${RUN_DIRECTORY}/sql`;

/**
 * `postgresql.conf` of one site. Nothing in it depends on the role: whom a standby follows stands in
 * `follow.conf`, which the health endpoint writes.
 */
export function renderPostgresqlConf(
  topology: Topology,
  site: Site,
  postgres: StackConfig["postgres"],
): string {
  const declared = Object.entries(postgres.parameters);
  const names = new Set(declared.map(([name]) => name));
  const defaults = replicationDefaults(topology).filter(([name]) => !names.has(name));
  return [
    "# Rendered by heatwave. Declare parameters in the stack file: this file is replaced by the next `up`.",
    "",
    "# Set by heatwave, because its promises rest on them.",
    ...lines(ownSettings(site)),
    "",
    "# Replication: heatwave's defaults, which `heatwave:postgres.parameters` overrules.",
    ...lines(defaults),
    ...(declared.length === 0 ? [] : ["", "# Declared in the stack file.", ...lines(sorted(declared))]),
    "",
    "# Whom this instance follows while it is a standby (written by the health endpoint).",
    `include_if_exists '${RUN_DIRECTORY}/follow.conf'`,
    "",
  ].join("\n");
}

/** WAL that a standby which stays away may hold back. */
const SLOT_WAL = "16GB";

/** PostgreSQL's own default of max_wal_size. */
const CHECKPOINT_WAL = "1GB";

/** MB of WAL that may come to stand on the data volume: between checkpoints, and for a standby that stays away. */
export function walMegabytes({ parameters }: StackConfig["postgres"]): number {
  return (
    megabytes(parameters["max_slot_wal_keep_size"] ?? SLOT_WAL) +
    megabytes(parameters["max_wal_size"] ?? CHECKPOINT_WAL)
  );
}

/** A size as PostgreSQL writes it; without a unit these parameters count in MB. */
function megabytes(size: string | number | boolean): number {
  const [, digits = "0", unit = "MB"] = /^\s*(\d+)\s*([kMGT]B)?\s*$/.exec(String(size)) ?? [];
  return Math.ceil(Number(digits) * ({ kB: 1 / 1024, MB: 1, GB: 1024, TB: 1024 ** 2 }[unit] ?? 1));
}

function ownSettings(site: Site): readonly Setting[] {
  return [
    ["cluster_name", site.name],
    ["listen_addresses", "*"],
    ["port", site.postgres.port],
    ["password_encryption", "scram-sha-256"],
    ["wal_level", "replica"],
    ["hot_standby", true],
    ["recovery_target_timeline", "latest"],
  ];
}

function replicationDefaults(topology: Topology): readonly Setting[] {
  // One sender per other site, as many again for base backups, and room for tools.
  const senders = Math.max(10, topology.sites.length * 2 + 4);
  return [
    ["max_replication_slots", senders],
    ["max_slot_wal_keep_size", SLOT_WAL],
    ["max_wal_senders", senders],
    // After a crash a standby asks again at once, not only after 5 s.
    ["wal_retrieve_retry_interval", "500ms"],
    ["wal_sender_timeout", "10s"],
    ["wal_receiver_timeout", "10s"],
    ["log_checkpoints", true],
    ["log_line_prefix", "%m [%p] %q%u@%d %a "],
    ["log_replication_commands", true],
  ];
}

function lines(settings: readonly Setting[]): string[] {
  return settings.map(([name, value]) => `${name} = ${quoted(value)}`);
}

function sorted(settings: readonly Setting[]): readonly Setting[] {
  return settings.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function quoted(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "number") return String(value);
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
