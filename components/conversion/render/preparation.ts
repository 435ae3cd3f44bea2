import type { Secrets, StackConfig } from "../../../infra/config/schema.ts";
import type { Site, Topology } from "../../../infra/topology/model.ts";
import { REPLICATION_ROLE } from "../../../infra/topology/model.ts";
import { ownRolesSql } from "../../postgres/render/objects-sql.ts";

/**
 * The script that readies a primary which runs as it was found for standbys of ours: the two roles, a slot for each, and
 * lines in its `pg_hba.conf`. Nothing that the application uses is changed; its passwords are tried first, since the stack
 * file's will be in force once the site is converted. A standby is left alone. A secret: it holds passwords.
 */
export function renderPreparation(
  topology: Topology,
  site: Site,
  postgres: StackConfig["postgres"],
  secrets: Secrets,
): string {
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
