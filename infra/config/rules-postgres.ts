import ipaddr from "ipaddr.js";
import { setSecret } from "./explain.ts";
import type { Finding } from "./problem.ts";
import type { StackConfig } from "./schema.ts";

/** Rules between fields of PostgreSQL and PgBouncer: roles, databases, passwords, pg_hba.conf, parameters. */

const RESERVED_ROLE = /^(postgres|heatwave_.*|pg_.*|public|none|all|replication)$/;
const RESERVED_DATABASE =
  /^(postgres|template0|template1|pgbouncer|all|replication|sameuser|samerole|heatwave_health)$/;

/** Pulumi reads a mapping with the one key `secure` as an encrypted value. */
const PULUMI_WORD = "secure";

export function databaseRules(config: StackConfig): Finding[] {
  return [...roleRules(config), ...passwordRules(config), ...ownerRules(config)];
}

function roleRules({ postgres }: StackConfig): Finding[] {
  const names = postgres.roles.map((role) => role.name);
  return postgres.roles.flatMap((role, i) => {
    const path = ["postgres", "roles", i, "name"];
    if (RESERVED_ROLE.test(role.name) || role.name === PULUMI_WORD) {
      return {
        path,
        value: role.name,
        allowed: "a name that neither PostgreSQL nor heatwave nor Pulumi keeps for itself",
        fix: "rename the role",
      };
    }
    if (names.indexOf(role.name) !== i) {
      return {
        path,
        value: role.name,
        allowed: "a name that no other role has",
        fix: "remove one of the two",
      };
    }
    return role.memberOf.flatMap((group, j): Finding[] =>
      isGranted(group, names) && !memberships(group, postgres.roles).has(role.name)
        ? []
        : [
            {
              path: ["postgres", "roles", i, "memberOf", j],
              value: group,
              allowed: `another of postgres.roles that is no member of ${role.name} in its turn, or one of PostgreSQL's own roles (pg_...)`,
              fix: "declare that role, or remove the membership",
            },
          ],
    );
  });
}

function isGranted(group: string, declared: readonly string[]): boolean {
  return declared.includes(group) || /^pg_[a-z_]+$/.test(group);
}

/** The role itself and all that it is a member of, near and far. */
function memberships(start: string, roles: StackConfig["postgres"]["roles"]): ReadonlySet<string> {
  const found = new Set([start]);
  // A Set's iterator also visits what is added while it runs.
  for (const name of found) {
    for (const role of roles) if (role.name === name) for (const group of role.memberOf) found.add(group);
  }
  return found;
}

function passwordRules({ postgres, secrets }: StackConfig): Finding[] {
  const roles = postgres.roles.map((role) => role.name);
  const missing = [...new Set(roles)].filter((name) => !Object.hasOwn(secrets.roles, name));
  const idle = Object.keys(secrets.roles).filter((name) => !roles.includes(name));
  return [
    ...missing.map((name) => ({
      path: ["secrets", "roles", name],
      value: undefined,
      allowed: "a password for each of postgres.roles",
      fix: `\`${setSecret(["secrets", "roles", name])}\``,
    })),
    ...idle.map((name) => ({
      path: ["secrets", "roles", name],
      value: "",
      allowed:
        roles.length === 0 ? "a declared role (postgres.roles is empty)" : `one of ${roles.join(", ")}`,
      fix: `declare the role, or \`pulumi config rm --path 'heatwave:secrets.roles.${name}'\``,
    })),
  ];
}

function ownerRules({ postgres }: StackConfig): Finding[] {
  const roles = postgres.roles.map((role) => role.name);
  const names = postgres.databases.map((database) => database.name);
  return postgres.databases.flatMap((database, i) => {
    const findings: Finding[] = [];
    if (RESERVED_DATABASE.test(database.name) || names.indexOf(database.name) !== i) {
      findings.push({
        path: ["postgres", "databases", i, "name"],
        value: database.name,
        allowed: "a name that no other database has, nor PostgreSQL, PgBouncer or heatwave keeps for itself",
        fix: "rename the database",
      });
    }
    if (!roles.includes(database.owner)) {
      findings.push({
        path: ["postgres", "databases", i, "owner"],
        value: database.owner,
        allowed: roles.length === 0 ? "one of postgres.roles, which is empty" : `one of ${roles.join(", ")}`,
        fix: "declare the role in postgres.roles, or name another",
      });
    }
    return findings;
  });
}

export function hbaRules({ postgres }: StackConfig): Finding[] {
  return postgres.hba.flatMap((rule, i): Finding[] => {
    const path = ["postgres", "hba", i, "address"];
    if (rule.type === "local") {
      return rule.address === undefined
        ? []
        : [{ path, value: rule.address, allowed: "no address with type local", fix: "remove the address" }];
    }
    if (rule.address !== undefined && isAddress(rule.address)) return [];
    return [
      {
        path,
        value: rule.address,
        allowed: "an address with its prefix length, e.g. 100.64.0.9/32; samehost, samenet or all",
        fix: rule.address === undefined ? "add it, or write type: local" : "correct the address",
      },
    ];
  });
}

function isAddress(text: string): boolean {
  return ["samehost", "samenet", "all"].includes(text) || ipaddr.isValidCIDR(text);
}

/** Parameters that heatwave sets itself, because its promises rest on them. */
export const OWNED_PARAMETERS: readonly string[] = [
  "archive_cleanup_command",
  "cluster_name",
  "config_file",
  "data_directory",
  "external_pid_file",
  "hba_file",
  "hot_standby",
  "ident_file",
  "include",
  "include_dir",
  "include_if_exists",
  "listen_addresses",
  "password_encryption",
  "port",
  "primary_conninfo",
  "primary_slot_name",
  "recovery_target_timeline",
  "restart_after_crash",
  "unix_socket_directories",
  "wal_level",
];

/** Settings of pgbouncer.ini that have a key of their own here, or that its promises rest on. */
export const OWNED_POOLER_SETTINGS: readonly string[] = [
  "admin_users",
  "auth_file",
  "auth_query",
  "auth_type",
  "auth_user",
  "conffile",
  "default_pool_size",
  "listen_addr",
  "listen_port",
  "logfile",
  "max_client_conn",
  "pidfile",
  "pool_mode",
  "server_login_retry",
  "stats_users",
  "unix_socket_dir",
  "user",
];

export function ownedParameters(config: StackConfig): Finding[] {
  const owned = (section: "postgres" | "pgbouncer", keys: readonly string[]): Finding[] =>
    Object.entries(config[section].parameters)
      .filter(([key]) => keys.includes(key))
      .map(([key, value]) => ({
        path: [section, "parameters", key],
        value,
        allowed: "a parameter that heatwave does not set itself",
        fix: "remove it; docs/configuration.md lists what heatwave sets",
      }));
  return [...owned("postgres", OWNED_PARAMETERS), ...owned("pgbouncer", OWNED_POOLER_SETTINGS)];
}

/** A standby that stays away may not fill the primary's disk: the bound on a slot's WAL stays a bound. */
export function retentionRules({ postgres }: StackConfig): Finding[] {
  const key = "max_slot_wal_keep_size";
  const value = Object.hasOwn(postgres.parameters, key) ? postgres.parameters[key] : undefined;
  if (value === undefined || /^[1-9][0-9]*(kB|MB|GB|TB)?$/.test(String(value).trim())) return [];
  return [
    {
      path: ["postgres", "parameters", key],
      value,
      allowed: "a size above zero, e.g. 16GB (without a bound, a standby that stays away fills the disk)",
      fix: "write how much WAL the data volume has room for",
    },
  ];
}
