import type { StackConfig } from "../config/schema.ts";
import type { Finding } from "../runbooks/judge.ts";
import { REPLICATION_ROLE } from "../topology/model.ts";
import type { Difference } from "./drift.ts";

/** What `ROLES_QUERY` answers. */
export interface DatabaseRoles {
  /** Every role that may log in. */
  readonly roles: readonly {
    readonly name: string;
    readonly connectionLimit: number;
    readonly superuser: boolean;
    readonly memberOf: readonly string[];
  }[];
  readonly databases: readonly { readonly name: string; readonly owner: string }[];
}

/** One JSON object: login roles with what they are granted, and databases with their owners. No password, no verifier. */
export const ROLES_QUERY = `select json_build_object(
  'roles', (select json_agg(json_build_object('name', rolname, 'connectionLimit', rolconnlimit, 'superuser', rolsuper,
      'memberOf', (select coalesce(json_agg(granted.rolname order by granted.rolname), '[]')
                     from pg_auth_members join pg_roles granted on granted.oid = roleid where member = pg_roles.oid))
      order by rolname) from pg_roles where rolcanlogin),
  'databases', (select json_agg(json_build_object('name', datname, 'owner', pg_get_userbyid(datdba)) order by datname)
      from pg_database where not datistemplate))`;

/** Roles and databases that heatwave and PostgreSQL make for themselves. */
const OWN_ROLES: ReadonlySet<string> = new Set(["postgres", REPLICATION_ROLE, "heatwave_health"]);
const OWN_DATABASES: ReadonlySet<string> = new Set(["postgres"]);

/** Roles and databases at the primary against the stack file. */
export function databaseDifferences(
  postgres: Pick<StackConfig["postgres"], "roles" | "databases">,
  seen: DatabaseRoles,
  primary: string,
): readonly Difference[] {
  const difference = (what: string, declared: string, found: string, next: string): Difference => ({
    aspect: "database",
    where: primary,
    what,
    declared,
    seen: found,
    next,
  });
  const undeclared = "declare it in the stack file, or drop it by hand: `up` drops nothing";
  const again = `pulumi up --replace '**::${primary}-objects', which ensures roles and databases again`;
  const byName = new Map(seen.roles.map((role) => [role.name, role]));
  return [
    ...postgres.roles.flatMap((role): Difference[] => {
      const found = byName.get(role.name);
      const what = `role ${role.name}`;
      if (found === undefined) return [difference(what, "may log in", "does not exist, or may not", again)];
      const missing = role.memberOf.filter((group) => !found.memberOf.includes(group));
      const extra = found.memberOf.filter((group) => !role.memberOf.includes(group));
      return [
        ...(found.connectionLimit === role.connectionLimit
          ? []
          : [
              difference(
                what,
                `connection limit ${role.connectionLimit}`,
                String(found.connectionLimit),
                again,
              ),
            ]),
        ...(missing.length === 0
          ? []
          : [difference(what, `member of ${missing.join(", ")}`, "is not", again)]),
        ...(extra.length === 0
          ? []
          : [
              difference(
                what,
                "no further membership",
                `member of ${extra.join(", ")}`,
                "declare it in memberOf, or revoke it by hand",
              ),
            ]),
        ...(found.superuser
          ? [difference(what, "no superuser", "is superuser", `ALTER ROLE ${role.name} NOSUPERUSER`)]
          : []),
      ];
    }),
    ...seen.roles
      .filter(({ name }) => !OWN_ROLES.has(name) && !postgres.roles.some((role) => role.name === name))
      .map(({ name, superuser }) =>
        difference(
          `role ${name}`,
          "is not declared",
          superuser ? "may log in, as superuser" : "may log in",
          undeclared,
        ),
      ),
    ...postgres.databases.flatMap(({ name, owner }): Difference[] => {
      const found = seen.databases.find((database) => database.name === name);
      if (found === undefined) return [difference(`database ${name}`, "exists", "does not", again)];
      return found.owner === owner
        ? []
        : [
            difference(
              `database ${name}`,
              `owner ${owner}`,
              found.owner,
              `ALTER DATABASE ${name} OWNER TO ${owner}`,
            ),
          ];
    }),
    ...seen.databases
      .filter(
        ({ name }) =>
          !OWN_DATABASES.has(name) && !postgres.databases.some((database) => database.name === name),
      )
      .map(({ name }) => difference(`database ${name}`, "is not declared", "exists", undeclared)),
  ];
}

/** What `topology` finds of sites and routers: who is primary, and what is not as it should be. */
export function roleDifferences(
  findings: readonly Finding[],
  declared: string,
  primaries: readonly string[],
) {
  return findings
    .filter(({ level, code }) => level !== "ok" && code !== "running")
    .map(({ code, text, next }): Difference => ({
      aspect: code === "not-declared" ? "role" : "health",
      where: "the stack",
      what: code,
      declared: code === "not-declared" ? `primary ${declared}` : "healthy",
      seen: code === "not-declared" ? `primary ${primaries.join(", ")}` : text,
      next,
    }));
}
