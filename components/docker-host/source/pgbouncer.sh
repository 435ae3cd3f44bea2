# --- PgBouncer's files ------------------------------------------------------------------------------------------------
#
# It has no check mode and says nothing when it refuses at a reload. So a throw-away process of the same image is started
# on the text, with a socket of its own: whether it starts is the check, and what its console shows is what the running
# one has to show after the reload.

# The container of the PostgreSQL beside it, whose socket folder is mounted in it. Nothing where it is older than that.
server_beside() {
  docker inspect --format '{{range .Mounts}}{{if eq .Destination "/run/postgresql"}}{{.Source}}{{end}}{{end}}' "$container" |
    sed -n 's,.*/\([^/]*\)/run/sql$,\1,p'
}

# The image whose psql asks the console: PgBouncer's has none.
psql_image() {
  docker inspect --format '{{.Image}}' "$(server_beside)" 2>/dev/null ||
    fail "the PostgreSQL beside $container, whose psql would ask it, is not on this host"
}

# psql on a console, as PgBouncer's own user, which needs no password on its socket ($1: folder below the container's
# `run`).
console() {
  image=$(psql_image) || return 1
  socket=$1
  shift
  timeout 30 docker run --rm --pull never --network none -u "$pooler_user" -v "$root/$container/run:/run/pgbouncer:ro" \
    --entrypoint psql "$image" -X -q -A -v ON_ERROR_STOP=1 -h "/run/pgbouncer$socket" -p "$(pooler_port)" -U pgbouncer -d pgbouncer "$@"
}

pooler_port() { sed -n 's/^listen_port = //p' "$root/$container/conf/pgbouncer.ini"; }

# What the console shows of a configuration: what does not change by use, and not where the process itself is.
facts() {
  pooler_user=$(docker inspect --format '{{.Config.User}}' "$container")
  console "$1" -c 'show config' -c 'show databases' -c 'show users' | awk -F '|' '
    /^\([0-9]+ rows?\)$/ { next }
    $1 == "key" || $1 == "name" { part = $2; count = split($0, column, "|"); next }
    part == "value" && $1 !~ /^(conffile|listen_addr|logfile|pidfile|unix_socket_dir|auth_file)$/ { print "setting", $1, $2, $4 }
    part == "host" {
      line = "database " $1
      for (i = 2; i <= count; i++) if (column[i] !~ /^(current_.*|paused|disabled)$/) line = line " " column[i] "=" $i
      print line
    }
    part == "pool_size" { print "user", $1 }'
}

# Starts the throw-away process on a pgbouncer.ini ($1: on the host) and users ($2: as the container sees them) and prints
# its facts. What differs goes to the end of its one section (an `%include` would set all others back to defaults).
throw_away() {
  trial=$root/$container/run/trial
  rm -rf "$trial"
  install -d -m 0700 -o "$(stat -c %u "$root/$container/run")" "$trial"
  { cat "$1" && printf '\nlisten_addr =\nunix_socket_dir = /run/pgbouncer/trial\nauth_file = %s\n' "$2"; } >"$trial/trial.ini"
  chmod 0644 "$trial/trial.ini"
  docker exec -d "$container" sh -c 'cd /run/pgbouncer/trial && timeout -s KILL 60 pgbouncer trial.ini >log 2>&1; echo ended >>log'
  await 10 trial_decided
  if ! grep -q 'process up' "$trial/log" || grep -q -e ' ERROR ' -e 'broken' -e ' FATAL ' "$trial/log"; then
    result=1
    sed -n 's/^.*\] \(ERROR\|FATAL\|WARNING\) //p' "$trial/log" | sed "s/(trial.ini/($name/"
  else
    result=0
    facts /trial || result=1
  fi
  docker exec "$container" sh -c 'for process in /proc/[0-9]*; do
    if tr "\0" " " <"$process/cmdline" | grep -q "^pgbouncer trial.ini"; then kill -KILL "${process#/proc/}"; fi
  done' 2>/dev/null || :
  rm -rf "$trial"
  return "$result"
}

trial_decided() { grep -q -e 'process up' -e '^ended' "$trial/log"; }

# A container that was made before its sockets were in folders of the host is replaced in this very `up`.
has_console() {
  running "$container" && [ -n "$(seen "$root/$container/run/socket")" ] && [ -n "$(server_beside)" ]
}

USERS_INSIDE=/run/heatwave-secrets/userlist.txt

check_pooler() {
  has_console || return 0
  case $kind in
    pooler) throw_away "$new" "$USERS_INSIDE" ;;
    users) throw_away "$root/$container/conf/pgbouncer.ini" "$(seen "$new")" ;;
  esac
}

reload_pooler() {
  has_console || return 0
  pooler_user=$(docker inspect --format '{{.Config.User}}' "$container")
  console '' -c reload
}

verify_pooler() {
  has_console || return 0
  want=$(throw_away "$root/$container/conf/pgbouncer.ini" "$USERS_INSIDE") || {
    printf '%s\n' "$want"
    return 1
  }
  have=$(facts '') || {
    printf '%s\n' "$have"
    return 1
  }
  # Databases and users that were only asked for are known to the running one alone.
  printf '%s\n' "$want" | HAVE="$have" awk -v container="$container" '
    BEGIN {
      for (i = split(ENVIRON["HAVE"], line, "\n"); i > 0; i--) {
        have[line[i]]
        split(line[i], word, " ")
        if (word[1] == "setting") value[word[2]] = line[i]
      }
    }
    $0 in have { next }
    $1 == "setting" && $NF == "no" {
      split(value[$2], word, " ")
      printf "%s = %s takes effect at the next restart of %s; until then it is %s\n", $2, $3, container, word[3]
      next
    }
    { print "PgBouncer does not have: " $0; wrong = 1 }
    END { exit wrong }'
}

# The console for a runbook: lines in, answers out, until its end of the connection closes.
pooler_console() {
  container=$1
  pooler_user=$(docker inspect --format '{{.Config.User}}' "$container")
  image=$(psql_image) || exit 1
  exec docker run --rm -i --pull never --network none -u "$pooler_user" -v "$root/$container/run:/run/pgbouncer:ro" \
    --entrypoint psql "$image" -X -q -A -t -h /run/pgbouncer -p "$(pooler_port)" -U pgbouncer -d pgbouncer
}
