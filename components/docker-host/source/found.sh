# --- found: a PostgreSQL that runs as it was found, until heatwave's takes its place (docs/decisions/0024-adoption.md) ----
#
# STATE is pg-health's folder of that name, IMAGE PostgreSQL's. A note in STATE tells what is under way: role (or `leaving`: a
# primary whose writes a runbook takes away), site that is followed, restart policy, slot. Once there is a grant the site is
# heatwave's, and nothing starts what was found any more.

found() {
  step=${1:-}
  [ $# -gt 0 ] && shift
  case $step in
    ask | stop | keep | back | users | convert) "found_$step" "$@" ;;
    *) fail "found: unknown word '$step'; allowed: ask, stop, keep, back, users, convert" ;;
  esac
}

# Where the official image keeps data of PostgreSQL 18.
found_inside=/var/lib/postgresql/18/docker

found_runs() { [ "$(docker inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]; }

# A statement (stdin) as the superuser that the image was started with; unaligned.
found_sql() {
  docker exec -i -u postgres "$container" sh -c 'exec psql -X -q -A -t -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d postgres'
}
found_value() { printf '%s\n' "$1" | found_sql; }

found_ask() {
  container=$1
  found_runs || fail "$container does not run"
  found_sql
}

# Sets `mount` and `data`, where the data is as it can be taken over.
found_data() {
  mount=$(docker volume inspect --format '{{.Mountpoint}}' "$volume") || fail "$site has no volume $volume"
  data=$mount/18/docker
  [ -s "$data/PG_VERSION" ] \
    || fail "$site: volume $volume has no data of PostgreSQL 18 at 18/docker; only data there, where the image keeps it, can be converted"
  [ "$(stat -c %u "$data")" = 999 ] \
    || fail "$site: the data in $volume belongs to uid $(stat -c %u "$data"), PostgreSQL here runs as 999 (Debian's image); rebuild the site from a Debian image first"
}

# Of a container that runs.
found_policy() {
  [ "$(found_value 'show data_directory')" = "$found_inside" ] \
    || fail "$site: $container runs on $(found_value 'show data_directory'), not on $found_inside"
  docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$container"
}

# A fast stop, whatever signal the container was made to stop by: a smart one waits for its pooler, and is killed.
found_halt() {
  docker kill --signal INT "$container" >/dev/null 2>&1 || :
  docker stop --time "$seconds" "$container" >/dev/null 2>&1
}

# Reads the control file. Started before a stop, since writes wait from there on.
found_reader() {
  reader=$(docker run --rm --detach --network none --user 999:999 --env LC_ALL=C --entrypoint sleep \
    --volume "$volume:/var/lib/postgresql:ro" "$image" 3600) || fail "$site: no container of $image starts"
}
found_unread() { docker rm -f "$reader" >/dev/null 2>&1 || :; }
found_fact() { printf '%s\n' "$facts" | sed -n "s/^$1: *//p"; }

# ROLE FOLLOW POLICY SLOT
found_note() { printf '%s %s %s %s\n' "$@" >"$state/converting" && sync "$state/converting"; }

# What ran is as it was before, and runs. Never once the site has a grant: somebody else may take writes by then.
found_start() {
  [ ! -e "$state/grant.json" ] || return 0
  docker update --restart "${policy:-unless-stopped}" "$container" >/dev/null 2>&1 || :
  docker start "$container" >/dev/null 2>&1 || return 1
  rm -f "$state/converting"
  say "$site: $container was started again"
}

# `facts` of data that was stopped cleanly as what it was: $role.
found_clean() {
  cluster=$(found_fact 'Database cluster state')
  case $role/$cluster in
    primary/'shut down') [ ! -e "$data/standby.signal" ] || { say "$site: a primary with standby.signal"; return 1; } ;;
    standby/'shut down in recovery') [ -e "$data/standby.signal" ] || { say "$site: a standby without standby.signal"; return 1; } ;;
    *) say "$site: PostgreSQL did not stop cleanly: $cluster"; return 1 ;;
  esac
}

# --- the writes go to another site: a runbook's, which has the other half -------------------------------------------------

# SITE CONTAINER VOLUME STATE SECONDS IMAGE: readies the stop and says `ready`; at the word `stop` stops, and says `stopped LSN`
# once the last record is written. What ran is as it was when stdin ends before; afterwards `keep` or `back` decides.
found_stop() {
  site=$1 container=$2 volume=$3 state=$4 seconds=$5 image=$6
  found_data
  found_runs || fail "$site: $container does not run"
  policy=$(found_policy)
  # Of one that a run before left: what it set since is no policy of anybody's.
  [ ! -e "$state/converting" ] || read -r _ _ policy _ <"$state/converting"
  [ "$(found_value 'select pg_is_in_recovery()')" = f ] || fail "$site is a standby: there are no writes to take from it"
  install -d -m 0755 "$operations"
  install -d -m 0750 -o 999 -g 999 "$state"
  found_reader
  work=$(mktemp -d) stopped=
  trap found_stopped EXIT
  trap 'exit 1' INT TERM HUP
  # Whoever listens may be gone: a shell that this signal ends runs no trap.
  trap '' PIPE
  found_note leaving - "${policy:-no}" ''
  # A daemon that comes back must not start it beside the new primary.
  docker update --restart no "$container" >/dev/null || fail "$site: $container cannot be changed"
  found_value 'checkpoint; checkpoint' >/dev/null || fail "$site: PostgreSQL makes no checkpoint"
  mkfifo "$work/heard"
  exec 6<>"$work/heard"
  # A torn read has a wrong checksum, and is read again.
  {
    docker exec "$reader" sh -c '
      while sleep 0.01; do
        facts=$(pg_controldata -D "$1" 2>&1) || continue
        case $facts in *WARNING*) continue ;; esac
        [ "$(printf "%s\n" "$facts" | sed -n "s/^Database cluster state: *//p")" = "shut down" ] || continue
        printf "last %s\n" "$(printf "%s\n" "$facts" | sed -n "s/^Latest checkpoint location: *//p")"
        break
      done' sh "$found_inside" || :
  } >&6 2>/dev/null &
  watch=$!
  echo ready
  IFS= read -r word || word=
  [ "$word" = stop ] || exit 0
  # What it has seen by now was another stop, or a crash: not the last record.
  kill -0 "$watch" 2>/dev/null || fail "$site: PostgreSQL was stopped by somebody else meanwhile"
  stopped=yes
  # `back` waits for this, whether or not anybody here is left.
  exec 8>"$operations/found.flock"
  flock -x 8
  { found_halt || :; echo over >&6; } &
  last=
  while [ -z "$last" ] && IFS= read -r line <&6; do
    case $line in
      last\ *) last=${line#last } ;;
      over)
        facts=$(docker exec "$reader" pg_controldata -D "$found_inside") || fail "$site: pg_controldata does not read the data"
        role=primary
        found_clean || fail "$site: nothing proves what it wrote last"
        last=$(found_fact 'Latest checkpoint location')
        ;;
    esac
  done
  echo "stopped $last"
  cat >/dev/null
}

found_stopped() {
  found_unread
  rm -rf "$work"
  [ -n "$stopped" ] || [ ! -e "$state/converting" ] || {
    rm -f "$state/converting"
    docker update --restart "${policy:-unless-stopped}" "$container" >/dev/null 2>&1 || :
  }
}

# SITE CONTAINER STATE
found_back() {
  site=$1 container=$2 state=$3
  [ -e "$state/converting" ] || return 0
  read -r _ _ policy _ <"$state/converting"
  install -d -m 0755 "$operations"
  exec 8>"$operations/found.flock"
  flock -w 60 8 || fail "$site: the stop of $container does not end"
  found_start || fail "$site: $container does not start: docker logs $container"
}

# SITE CONTAINER VOLUME STATE EPOCH IMAGE: what was stopped stays so; its data gets a grant that lets it follow.
found_keep() {
  site=$1 container=$2 volume=$3 state=$4 epoch=$5 image=$6
  [ ! -e "$state/grant.json" ] || return 0
  await 60 found_ended || fail "$site: $container still runs"
  found_data
  facts=$(docker run --rm --network none --user 999:999 --env LC_ALL=C --entrypoint pg_controldata \
    --volume "$volume:/var/lib/postgresql:ro" "$image" -D "$found_inside") || fail "$site: pg_controldata does not read the data"
  role=primary
  found_clean || fail "$site: its data stays as it is"
  found_grant none "$epoch"
}
found_ended() { ! found_runs; }

# CONTAINER PORT POOLER: of the site that takes the writes over. Says `ready`; at the word `go` its roles get the verifiers that
# its pooler passes on, which those from before do not match, and `done` is said. A role that is not there is made by `up`.
found_users() {
  container=$1 port=$2 list=$root/$3/secrets/userlist.txt
  [ -r "$list" ] || fail "$list: not there"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkfifo "$work/in" "$work/out"
  docker exec -i "$container" psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=terse -h /run/heatwave/sql -p "$port" \
    -U postgres -d postgres <"$work/in" >"$work/out" 2>"$work/said" &
  exec 6>"$work/in" 7<"$work/out"
  echo "set log_statement = 'none'; set log_min_error_statement = 'panic'; set log_min_duration_statement = -1; select 'ready';" >&6
  found_heard ready
  IFS= read -r word || word=
  [ "$word" = go ] || exit 0
  {
    sed -n 's/^"\([^"]*\)" "\(SCRAM-SHA-256[^"]*\)"$/select format($$alter role %I password %L$$, rolname, $v$\2$v$) from pg_authid where rolname = $v$\1$v$ \\gexec/p' "$list"
    echo "select 'done';"
  } >&6
  found_heard done
}
found_heard() {
  IFS= read -r line <&7 || line=
  [ "$line" = "$1" ] || fail "$container: $(tail -n 1 "$work/said" 2>/dev/null)"
  echo "$1"
}

# --- the data's new keeper ------------------------------------------------------------------------------------------------

found_put() { # name; text from stdin
  cat >"$state/$1.new" && chown 999:999 "$state/$1.new" && chmod 0600 "$state/$1.new" && sync "$state/$1.new" && mv "$state/$1.new" "$state/$1"
}

# RIGHT EPOCH: from here on the site is heatwave's.
found_grant() {
  # Set by ALTER SYSTEM or pg_basebackup -R; it would win over the stack's own file.
  if [ -s "$data/postgresql.auto.conf" ] && [ ! -e "$data/postgresql.auto.conf.found" ]; then
    mv "$data/postgresql.auto.conf" "$data/postgresql.auto.conf.found"
  fi
  : >"$data/postgresql.auto.conf"
  chown 999:999 "$data/postgresql.auto.conf" "$mount/18"
  chmod 0600 "$data/postgresql.auto.conf"
  printf '{"systemId":"%s","epoch":%s,"timeline":%s,"state":"%s","peers":[],"excluded":[]}\n' \
    "$(found_fact 'Database system identifier')" "$2" "$(found_fact "Latest checkpoint's TimeLineID")" "$1" | found_put grant.json
  rm -f "$state/converting"
  sync "$state" "$data"
}

# SITE CONTAINER VOLUME STATE SECONDS IMAGES [NAME=ADDRESS]...: heatwave's containers may take the place of those that were
# found. IMAGES: PostgreSQL's first, with commas; then the other sites. It looks first, and may run again: until the grant is
# written every failure starts what was found again.
found_convert() {
  site=$1 container=$2 volume=$3 state=$4 seconds=$5 images=$6
  shift 6
  umask 077
  image=${images%%,*}
  [ ! -e "$state/grant.json" ] || { echo "$site: converted already"; return 0; }
  if [ -e "$state/converting" ]; then
    read -r role _ <"$state/converting"
    # Whose writes went elsewhere: whatever happens, nothing starts it as a primary again.
    [ "$role" != leaving ] || { found_keep "$site" "$container" "$volume" "$state" 1 "$image"; echo "$site: its writes are elsewhere, it follows"; return 0; }
  fi
  found_data
  # Not while PostgreSQL is down.
  for one in $(printf %s "$images" | tr , ' '); do
    docker image inspect "$one" >/dev/null 2>&1 || docker pull -q "$one" >/dev/null || fail "$site: $one cannot be pulled"
  done
  follow='' policy='' slot=''
  if found_runs; then
    found_what "$@"
  elif [ -e "$state/converting" ]; then
    # An earlier run was killed between the stop and the grant.
    read -r role follow policy slot <"$state/converting"
  else
    fail "$site: $container does not run, so nobody knows what its data is: docker start $container there, then run up again"
  fi
  found_reader
  trap found_unread EXIT
  trap 'found_start; exit 1' INT TERM HUP
  found_note "$role" "${follow:--}" "${policy:-no}" "$slot"
  if found_runs; then
    # What the stop has to write is written before it.
    [ "$role" = standby ] || found_value checkpoint >/dev/null || { found_start; fail "$site: PostgreSQL makes no checkpoint"; }
    # A daemon that comes back must not start it beside what takes its place.
    docker update --restart no "$container" >/dev/null || { found_start; fail "$site: $container cannot be changed"; }
    found_halt || { found_start; fail "$site: $container does not stop"; }
  fi
  facts=$(docker exec "$reader" pg_controldata -D "$found_inside") || { found_start; fail "$site: pg_controldata does not read the data"; }
  found_clean || { found_start; fail "$site stays as it was found"; }
  [ "$role" = primary ] || printf '{"site":"%s"}\n' "$follow" | found_put follow.json
  if [ "$role" = primary ]; then found_grant held 1; else found_grant none 1; fi
  # What takes its place waits for the end of this, and not for a container to be gone.
  trap - EXIT
  found_unread </dev/null >/dev/null 2>&1 &
  echo "$site: $role of system $(found_fact 'Database system identifier'), stopped at $(found_fact 'Latest checkpoint location'); the data stays in $volume"
  [ -z "$slot" ] || echo "$site: slot $slot at $follow keeps WAL from now on; when $site streams again: select pg_drop_replication_slot('$slot')"
}

# Sets role, policy, and of a standby follow and slot.
found_what() {
  policy=$(found_policy)
  if [ "$(found_value 'select pg_is_in_recovery()')" = f ]; then
    role=primary
    # Of a site that has no other.
    [ $# -eq 0 ] || fail "$site is the primary: move the writes to a converted site first, with flip-db of bin/recovery"
    return 0
  fi
  role=standby
  [ "$(found_value "select count(*) from pg_stat_wal_receiver where status = 'streaming'")" = 1 ] \
    || fail "$site does not stream from its primary: mend that first, it would come back with a gap"
  upstream=$(found_value 'select sender_host from pg_stat_wal_receiver')
  for other; do
    if [ "${other#*=}" = "$upstream" ]; then follow=${other%%=*}; fi
  done
  [ -n "$follow" ] || fail "$site streams from $upstream, which is the address of no other site of the stack ($*)"
  slot=$(found_value 'show primary_slot_name')
}
