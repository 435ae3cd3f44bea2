# Makes what was found at a site ready for heatwave's containers: its PostgreSQL is stopped cleanly, its data gets a grant
# and stays where it is. Run as root on the site's host, from stdin: nothing of it stays there.
#
#   sh -s -- SITE CONTAINER VOLUME STATE STOP_SECONDS IMAGES [NAME=ADDRESS]...
#
# STATE: pg-health's folder of that name; IMAGES: PostgreSQL's first, with commas; then the other sites.
# It looks first and may run again. Until the grant is written every failure starts what was found again.
set -eu
umask 077
site=$1 container=$2 volume=$3 state=$4 seconds=$5 images=$6
shift 6
inside=/var/lib/postgresql/18/docker

say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

[ -e "$state/grant.json" ] && { say "$site: converted already"; exit 0; }

mount=$(docker volume inspect --format '{{.Mountpoint}}' "$volume") || fail "$site has no volume $volume"
data=$mount/18/docker
[ -s "$data/PG_VERSION" ] \
  || fail "$site: volume $volume has no data of PostgreSQL 18 at 18/docker; only data there, where the image keeps it, can be converted"
[ "$(stat -c %u "$data")" = 999 ] \
  || fail "$site: the data in $volume belongs to uid $(stat -c %u "$data"), PostgreSQL here runs as 999 (Debian's image); rebuild the site from a Debian image first"
# Not while PostgreSQL is down.
for image in $(printf %s "$images" | tr , ' '); do
  docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" >/dev/null || fail "$site: $image cannot be pulled"
done

running() { [ "$(docker inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]; }
ask() {
  docker exec -u postgres "$container" sh -c 'exec psql -X -q -A -t -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d postgres -c "$1"' psql "$1"
}

# --- what it is ------------------------------------------------------------------------------------------------------

follow='' policy='' slot=''
if running; then
  [ "$(ask 'show data_directory')" = "$inside" ] || fail "$site: $container runs on $(ask 'show data_directory'), not on $inside"
  policy=$(docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$container")
  if [ "$(ask 'select pg_is_in_recovery()')" = t ]; then
    role=standby
    [ "$(ask "select count(*) from pg_stat_wal_receiver where status = 'streaming'")" = 1 ] \
      || fail "$site does not stream from its primary: mend that first, it would come back with a gap"
    upstream=$(ask 'select sender_host from pg_stat_wal_receiver')
    for other; do
      if [ "${other#*=}" = "$upstream" ]; then follow=${other%%=*}; fi
    done
    [ -n "$follow" ] || fail "$site streams from $upstream, which is the address of no other site of the stack ($*)"
    slot=$(ask 'show primary_slot_name')
  else
    role=primary
    for other; do
      lag=$(ask "select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint from pg_stat_replication
        where application_name = '${other%%=*}' and usename = 'heatwave_replication' and state = 'streaming' limit 1")
      [ -n "$lag" ] || fail "$site is the primary, and ${other%%=*} does not stream from it as heatwave's standby: convert ${other%%=*} first"
      [ "$lag" -lt 16777216 ] || fail "$site is the primary, and ${other%%=*} is $lag bytes behind it; allowed: 16 MiB. Wait, then run up again"
    done
  fi
elif [ -e "$state/converting" ]; then
  # An earlier run was killed between the stop and the grant.
  read -r role follow policy slot <"$state/converting"
else
  fail "$site: $container does not run, so nobody knows what its data is: docker start $container there, then run up again"
fi

# --- the stop --------------------------------------------------------------------------------------------------------

# Reads the control file; started before the stop, since writes wait from there on.
reader=$(docker run --rm --detach --network none --user 999:999 --env LC_ALL=C --entrypoint sleep \
  --volume "$volume:/var/lib/postgresql:ro" "${images%%,*}" "$((seconds + 600))") \
  || fail "$site: no container of ${images%%,*} starts"
leave() { docker rm -f "$reader" >/dev/null 2>&1 || :; }
trap leave EXIT
back() {
  rm -f "$state/converting"
  docker update --restart "${policy:-unless-stopped}" "$container" >/dev/null 2>&1 || :
  docker start "$container" >/dev/null 2>&1 && say "$site: $container was started again" >&2
}
printf '%s %s %s %s\n' "$role" "${follow:--}" "${policy:-no}" "$slot" >"$state/converting"
trap 'back; exit 1' INT TERM HUP
if running; then
  # What the stop has to write is written before it.
  [ "$role" = standby ] || ask checkpoint >/dev/null || { back; fail "$site: PostgreSQL makes no checkpoint"; }
  # A daemon that comes back must not start it beside what takes its place.
  docker update --restart no "$container" >/dev/null || { back; fail "$site: $container cannot be changed"; }
  docker stop --time "$seconds" "$container" >/dev/null || { back; fail "$site: $container does not stop"; }
fi
facts=$(docker exec "$reader" pg_controldata -D "$inside") || { back; fail "$site: pg_controldata does not read the data"; }
fact() { printf '%s\n' "$facts" | sed -n "s/^$1: *//p"; }
cluster=$(fact 'Database cluster state')
case $role/$cluster in
  primary/'shut down' | standby/'shut down in recovery') ;;
  *) back; fail "$site: PostgreSQL did not stop cleanly: $cluster" ;;
esac
if [ "$role" = standby ]; then
  [ -e "$data/standby.signal" ] || { back; fail "$site: a standby without standby.signal"; }
elif [ -e "$data/standby.signal" ]; then
  back
  fail "$site: a primary with standby.signal"
fi

# --- the data's new keeper -------------------------------------------------------------------------------------------

# Set by ALTER SYSTEM or pg_basebackup -R; it would win over the stack's own file.
if [ -s "$data/postgresql.auto.conf" ] && [ ! -e "$data/postgresql.auto.conf.found" ]; then
  mv "$data/postgresql.auto.conf" "$data/postgresql.auto.conf.found"
fi
: >"$data/postgresql.auto.conf"
chown 999:999 "$data/postgresql.auto.conf" "$mount/18"
keep() { # name; text from stdin
  cat >"$state/$1.new" && chown 999:999 "$state/$1.new" && sync "$state/$1.new" && mv "$state/$1.new" "$state/$1"
}
[ "$role" = primary ] || printf '{"site":"%s"}\n' "$follow" | keep follow.json
[ "$role" = primary ] && right=held || right=none
# Last: from here on the site is heatwave's.
printf '{"systemId":"%s","epoch":1,"timeline":%s,"state":"%s","peers":[],"excluded":[]}\n' \
  "$(fact 'Database system identifier')" "$(fact "Latest checkpoint's TimeLineID")" "$right" | keep grant.json
rm -f "$state/converting"
sync "$state" "$data"
# What takes its place waits for the end of this, and not for a container to be gone.
trap - EXIT
leave </dev/null >/dev/null 2>&1 &
say "$site: $role of system $(fact 'Database system identifier'), stopped at $(fact 'Latest checkpoint location'); the data stays in $volume"
[ -z "$slot" ] || say "$site: slot $slot at $follow keeps WAL from now on; when $site streams again: select pg_drop_replication_slot('$slot')"
