#!/usr/bin/env bash
# The part of the official image's entrypoint that a plain `docker run` meets: own the directory, drop root, initdb an
# empty PGDATA with POSTGRES_PASSWORD[_FILE], and exec the command. No init scripts, no temporary server.
set -Eeuo pipefail

if [ "${1:-}" = '' ] || [ "${1:0:1}" = '-' ]; then
  set -- postgres "$@"
fi
if [ "$1" = 'postgres' ]; then
  if [ "$(id -u)" = '0' ]; then
    mkdir -p "$PGDATA"
    chmod 00700 "$PGDATA"
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    exec gosu postgres "${BASH_SOURCE[0]}" "$@"
  fi
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD:-}
    [ -n "${POSTGRES_PASSWORD_FILE:-}" ] && password=$(<"$POSTGRES_PASSWORD_FILE")
    if [ -z "$password" ]; then
      echo >&2 'Error: Database is uninitialized and superuser password is not specified.'
      exit 1
    fi
    initdb --username="${POSTGRES_USER:-postgres}" --pwfile=<(printf '%s\n' "$password") --auth-host=scram-sha-256
    printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    unset POSTGRES_PASSWORD
    set -- "$@" -c 'listen_addresses=*'
  fi
fi
exec "$@"
