import type { Secrets, StackConfig } from "../../../infra/config/schema.ts";
import type { Site, Topology } from "../../../infra/topology/model.ts";
import { HEALTH_ROLE, REPLICATION_ROLE } from "./roles.ts";
import { scramVerifier } from "./scram.ts";

/**
 * The psql script that ensures slots, roles and databases. The same at each site: in recovery it makes the slots
 * and leaves the rest to the primary, from where it arrives by replication. It may run again at any time.
 *
 * It holds verifiers, no passwords, and is a secret all the same.
 */
export function renderObjectsSql(
  topology: Topology,
  site: Site,
  postgres: StackConfig["postgres"],
  secrets: Secrets,
): string {
  const peers = topology.sites.filter((other) => other.name !== site.name);
  return [
    // TERSE: an error never repeats the line, which holds a verifier; nothing of it goes to the server's log.
    "\\set ON_ERROR_STOP on",
    "\\set VERBOSITY terse",
    "\\pset tuples_only on",
    "SET log_statement = 'none';",
    "SET log_min_error_statement = 'panic';",
    "SET log_min_duration_statement = -1;",
    "SELECT pg_is_in_recovery() AS standby \\gset",
    ...peers.flatMap((peer) => slotStatements(peer.slot)),
    "\\if :standby",
    "\\echo slots ensured; roles and databases come from the primary",
    "\\else",
    // Whatever the stack declares, an object must exist before an app may have made the instance read-only.
    "SET default_transaction_read_only = off;",
    ...roleStatements("postgres", "", secrets.superuserPassword),
    ...ownRoles(secrets),
    ...postgres.roles.flatMap((role) => [
      ...roleStatements(
        role.name,
        `CONNECTION LIMIT ${role.connectionLimit}`,
        secrets.roles[role.name] ?? "",
      ),
      ...role.memberOf.map((group) => `GRANT ${identifier(group)} TO ${identifier(role.name)};`),
    ]),
    ...postgres.databases.map(
      (database) =>
        `SELECT 'CREATE DATABASE ${identifier(database.name)} OWNER ${identifier(database.owner)}' ` +
        `WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = ${literal(database.name)}) \\gexec`,
    ),
    "\\echo slots, roles and databases ensured",
    "\\endif",
    "",
  ].join("\n");
}

/**
 * Of a primary that runs as it was found: what its standbys of heatwave need there, and nothing of the application's. Its
 * superuser may have another name; ours is made, without a password.
 */
export function ownRolesSql(secrets: Secrets, slots: readonly string[]): string[] {
  return [
    ...slots.flatMap(slotStatements),
    `SELECT 'CREATE ROLE "postgres" SUPERUSER LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') \\gexec`,
    ...ownRoles(secrets),
  ];
}

function ownRoles(secrets: Secrets): string[] {
  return [
    ...roleStatements(REPLICATION_ROLE, "REPLICATION", secrets.replicationPassword),
    ...rewindGrants(),
    ...roleStatements(HEALTH_ROLE, "", secrets.healthPassword),
    `GRANT pg_monitor TO ${HEALTH_ROLE};`,
  ];
}

/** Unreserved: an idle slot must not keep WAL; a walreceiver that connects reserves it. */
function slotStatements(slot: string): string[] {
  return [
    `SELECT 'slot ' || (pg_create_physical_replication_slot(${literal(slot)})).slot_name || ' made' ` +
      `WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = ${literal(slot)});`,
  ];
}

function roleStatements(name: string, attributes: string, password: string): string[] {
  const role = identifier(name);
  return [
    `SELECT 'CREATE ROLE ${role}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(name)}) \\gexec`,
    `ALTER ROLE ${role} LOGIN ${attributes} PASSWORD ${literal(scramVerifier(name, password))};`.replace(
      "  ",
      " ",
    ),
  ];
}

/** What pg_rewind reads from a source server without a superuser (its manual, "Notes"). */
function rewindGrants(): string[] {
  return [
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
  ].map((signature) => `GRANT EXECUTE ON FUNCTION pg_catalog.${signature} TO ${REPLICATION_ROLE};`);
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
