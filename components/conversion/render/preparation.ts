import type { Secrets, StackConfig } from "../../../infra/config/schema.ts";
import type { Site, Topology } from "../../../infra/topology/model.ts";
import { REPLICATION_ROLE } from "../../../infra/topology/model.ts";
import { ownRolesSql } from "../../postgres/render/objects-sql.ts";

/**
 * The script that readies a primary which runs as it was found for standbys of ours: the two roles, a slot for each, and
 * lines in its `pg_hba.conf`. Nothing that the application uses is changed; its passwords are tried first, since the stack
 * file's will be in force once the site is converted. A standby is left alone. A secret: it holds passwords.
 */
export function renderPreparation({
  topology,
  site,
  postgres,
  secrets,
  routed,
}: {
  readonly topology: Topology;
  readonly site: Site;
  readonly postgres: StackConfig["postgres"];
  readonly secrets: Secrets;
  readonly routed: boolean;
}): string {
  const converted = topology.sites.filter((other) => other.converted);
  return [
    "set -eu",
    `site='${site.name}' container='${site.postgres.container}'`,
    "fail() { printf 'error: %s\\n' \"$*\" >&2; exit 1; }",
    'run() { docker exec -i -u postgres "$container" sh -c "$@"; }',
    `sql() { run 'exec psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U "\${POSTGRES_USER:-postgres}" -d postgres'; }`,
    `[ "$(docker inspect --format '{{.State.Running}}' "$container")" = true ] || fail "$site: $container does not run"`,
    `[ "$(echo 'select pg_is_in_recovery()' | sql)" = f ] || { echo "$site is a standby: nothing to prepare"; exit 0; }`,
    ...tryPasswords(postgres, secrets),
    ...(routed ? tryRoutes(site) : []),
    "sql >/dev/null <<'END-OF-SQL'",
    "SET log_statement = 'none';",
    "SET log_min_error_statement = 'panic';",
    "SET log_min_duration_statement = -1;",
    ...ownRolesSql(
      secrets,
      converted.map(({ slot }) => slot),
    ),
    "END-OF-SQL",
    `hba=$(echo 'show hba_file' | sql)`,
    ...converted.flatMap(({ host }) =>
      ["replication", "postgres"].map((database) => hbaLine(database, host.address)),
    ),
    `echo 'select pg_reload_conf()' | sql >/dev/null`,
    'echo "$site: roles, slots and pg_hba.conf are ready for standbys of heatwave"',
    "",
  ].join("\n");
}

function hbaLine(database: string, address: string): string {
  const line = `host ${database} ${REPLICATION_ROLE} ${address}/32 scram-sha-256`;
  return `run 'grep -qxF "$1" "$0" || printf "%s\\n" "$1" >>"$0"' "$hba" '${line}' </dev/null`;
}

/** What heatwave's routers will ask and send to, by the names that those on this host use. */
function tryRoutes({ pgHealth, pgbouncer }: Site): string[] {
  const open = `exec 3<>"/dev/tcp/$0/$1"`;
  return [
    `run 'exec timeout 5 bash -c "$2" "$0" "$1"' '${pgHealth.container}' ${pgHealth.port} '${open} && printf "GET / HTTP/1.0\r\n\r\n" >&3 && head -n 1 <&3' </dev/null | grep -q '^HTTP/1\\.[01] 200' || fail "$site: ${pgHealth.container} does not answer 200 to GET / on port ${pgHealth.port} while $container is the primary: heatwave's routers would send nobody there"`,
    `run 'exec timeout 5 bash -c "$2" "$0" "$1"' '${pgbouncer.container}' ${pgbouncer.port} '${open}' </dev/null 2>/dev/null || fail "$site: ${pgbouncer.container} does not listen on port ${pgbouncer.port} inside its container: heatwave's routers would reach nobody there"`,
  ];
}

/** By the container's own address: from 127.0.0.1 the image lets everybody in. */
function tryPasswords(postgres: StackConfig["postgres"], secrets: Secrets): string[] {
  return postgres.databases.flatMap(({ owner, name }) => [
    "run 'umask 077; cat >/tmp/heatwave-pgpass' <<'END-OF-PASSWORD'",
    `*:*:*:*:${(secrets.roles[owner] ?? "").replaceAll(/[\\:]/g, "\\$&")}`,
    "END-OF-PASSWORD",
    `run 'PGPASSFILE=/tmp/heatwave-pgpass psql -X -q -w -h "$(hostname -i | cut -d" " -f1)" -U "$0" -d "$1" -c "select 1"' '${owner}' '${name}' </dev/null >/dev/null 2>&1 && ok=yes || ok=`,
    "run 'rm -f /tmp/heatwave-pgpass' </dev/null",
    `[ -n "$ok" ] || fail "$site: ${owner} cannot log in to ${name} with the password of heatwave:secrets.roles.${owner}; set the one that the application uses (pulumi config set --secret --path)"`,
  ]);
}
