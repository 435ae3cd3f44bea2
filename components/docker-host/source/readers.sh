# --- readers: how each kind of text is checked, reloaded and verified --------------------------------------------------
#
#   haproxy    haproxy.cfg, by the router's start.sh
#   postgres, hba, ident   PostgreSQL's files (postgres.sh)
#   pooler, users          PgBouncer's (pgbouncer.sh)
#   passfile   the password that a standby logs in with
#   restart    what pg-health reads once, at its start: the container is restarted; with it come its programs
#   program    what a `restart` text is read by: in force with that one
#   live       secrets that pg-health reads anew at each use
#   script     read anew each time it is run
#   plain      read by nobody yet, or anew each time

# One of that name which mounts no folder of ours was not made here (docs/adoption.md): it reads nothing of this, and is to
# be replaced.
exists() {
  docker inspect --type container --format '{{range .Mounts}}{{println .Source}}{{end}}' "$1" 2>/dev/null | grep -qF "$root/$1/"
}

running() {
  [ "$(docker inspect --format '{{.State.Running}} {{.State.Restarting}}' "$1" 2>/dev/null)" = 'true false' ] && exists "$1"
}

# Runs a program of the container's image, with its folders: inside where it runs, else in a throw-away one. Where no
# container is yet there is nothing to break: the program itself will say so at its start.
inside() {
  if running "$container"; then
    timeout 60 docker exec -i "$container" "$@"
  elif exists "$container"; then
    image=$(docker inspect --format '{{.Image}}' "$container")
    program=$1
    shift
    timeout 60 docker run --rm -i --network none --volumes-from "$container:ro" \
      -u "$(docker inspect --format '{{.Config.User}}' "$container")" --entrypoint "$program" "$image" "$@"
  fi
}

# Where the container sees a path of its folders.
seen() {
  docker inspect --format '{{range .Mounts}}{{.Source}} {{.Destination}}
{{end}}' "$container" 2>/dev/null | while read -r source destination; do
    case $1 in "${source:-nothing}"/*) printf '%s%s\n' "$destination" "${1#"$source"}" ;; esac
  done
}

# Is the candidate a text that its reader takes? Says why not.
check() {
  exists "$container" || return 0
  candidate=$(seen "$new")
  [ -n "$candidate" ] || {
    echo "$container sees no folder $directory: it was made by an older version; fix: let \`pulumi up\` replace it"
    return 1
  }
  case $kind in
    haproxy) inside haproxy -c -f "$candidate" ;;
    postgres) check_postgresql_conf "$candidate" ;;
    hba | ident) check_by_start "$candidate" ;;
    pooler | users) check_pooler ;;
    program) inside node --input-type=module --check - <"$new" ;;
    restart | live) inside node /opt/heatwave/pg-health.mjs check "${directory##*/}" <"$new" ;;
    script) inside "$(interpreter)" -n "$candidate" ;;
    *) ;;
  esac
}

interpreter() { if head -n 1 "$new" | grep -q bash; then echo bash; else echo sh; fi; }

reload() {
  case $kind in
    haproxy) docker exec "$container" sh /usr/local/etc/haproxy/start.sh reload ;;
    postgres | hba | ident) reload_postgres ;;
    pooler | users) reload_pooler ;;
    passfile) docker exec "$container" bash /opt/heatwave/entrypoint.sh passfile ;;
    restart) docker restart -t 10 "$container" >/dev/null ;;
    *) ;;
  esac
}

# Is it really in force? Says what is not. (HAProxy's reload has verified already.)
verify() {
  case $kind in
    postgres) verify_postgresql_conf ;;
    hba | ident) verify_rules ;;
    pooler | users) verify_pooler ;;
    restart)
      await 20 docker exec "$container" node /opt/heatwave/pg-health.mjs ping || {
        echo "$container does not answer 20 s after its restart:"
        docker logs --tail 5 "$container"
        return 1
      }
      ;;
    *) ;;
  esac
}
