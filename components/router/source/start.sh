#!/bin/sh
# Starts and reloads a router's HAProxy so that it never guesses. HAProxy 3.0 holds every server to be up until its
# first check: a standby would get writes. So each health endpoint is asked first, all at once, and HAProxy reads
# the answers from its state file before it binds. No answer means down.
#
#   start.sh run       ask, then become HAProxy (the container's entrypoint)
#   start.sh reload    inside the running container: unchanged servers keep their state, the others are asked
#   start.sh ping      inside the running container: does HAProxy answer (the container's healthcheck)
#   start.sh guard S   inside the running container: undo what a switchover did here, S seconds after the word `go` or
#                      when its runbook is gone. On stdin four lines (commands with `;` between them): take the old
#                      primary's servers back; mark them down; the servers that may take writes, as `section/server` of
#                      their check; let connections through. Then the words `go` and `done`
#
# Needs what haproxy:3.0-alpine has: BusyBox and haproxy. Knows no site: it reads the `server` lines of haproxy.cfg.
set -eu

conf=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cfg=$conf/haproxy.cfg
folder=${HEATWAVE_RUN:-/run/haproxy}
# HAProxy's master listens here, inside the container alone: BusyBox's nc does not speak to unix sockets everywhere.
cli_port=${HEATWAVE_CLI_PORT:-8405}
state=$folder/server-state

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

one_line() { printf '%s' "$1" | tr '\n' ' '; }

# One line per server: section, name, address, port, who checks it, and the endpoint that the check asks.
servers() {
  awk '
    /^[a-z]/ { section = $2 }
    $1 == "option" && $2 == "httpchk" { path[section] = $NF }
    $1 == "server" {
      key = section "/" $2
      order[++count] = key
      colon = index($3, ":")
      address[key] = substr($3, 1, colon - 1)
      port[key] = check_port[key] = substr($3, colon + 1)
      owner[key] = key
      for (i = 4; i < NF; i++) {
        if ($i == "track") owner[key] = $(i + 1)
        if ($i == "port") check_port[key] = $(i + 1)
      }
    }
    END {
      for (i = 1; i <= count; i++) {
        key = order[i]; by = owner[key]; split(key, name, "/"); split(by, checker, "/")
        print name[1], name[2], address[key], port[key], by, address[by], check_port[by], path[checker[1]]
      }
    }' "$cfg"
}

# Asks the endpoints of the listed servers (stdin), all at once; prints who answered 200. At most a second for a name
# that does not resolve and a host that swallows packets alike (wget's own -T, where it is built in, spares the name).
ask() {
  awk '$5 == $1 "/" $2' | {
    while read -r _ _ _ _ owner address port path; do
      # Not through a proxy that the Docker client's configuration may have put into the environment.
      { timeout 1 wget -q -Y off -O /dev/null "http://$address:$port$path" 2>/dev/null && echo "$owner"; } &
    done
    wait
  }
}

# Writes the state file (version 1) for the servers of file $1: rows of file $2 as they are (but for the agent's port,
# which HAProxy reports and then refuses where there is no agent), the others from their checker's row or the answers
# in $3.
write_state() {
  {
    echo 1
    echo '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port'
    # States are 2 = running and 0 = stopped, results 3 = passed and 2 = failed, check states 6 = on and 0 = none.
    awk -v up=" $(one_line "$3") " '
      FILENAME == ARGV[1] { $25 = 0; kept[$2 "/" $4] = $0; running[$2 "/" $4] = ($6 == 2); next }
      ($1 "/" $2) in kept { print kept[$1 "/" $2]; next }
      {
        good = ($5 in kept) ? running[$5] : index(up, " " $5 " ") > 0
        check = ($5 == $1 "/" $2) ? 6 : 0
        print 0, $1, 0, $2, "-", good ? 2 : 0, 0, 1, 1, 0, 1, good ? 3 : 2, good ? 4 : 0, check, 0, 0, 0, "-", $4, "-", 0, 0, "-", "-", 0
      }' "$2" "$1"
  } >"$state.new"
  mv "$state.new" "$state"
}

# One command to HAProxy's master (`@1 …`: to its worker).
cli() { printf '%s\n' "$1" | timeout "${2:-30}" nc 127.0.0.1 "$cli_port"; }

ping() { cli '@1 show info' 2 2>/dev/null | grep -q '^Name: HAProxy'; }

# Commands with `;` between them, one after the other. Nobody is there any more who could be told of one that failed. The
# master listens a moment later than its worker, and starts itself anew at a reload: nc ends with 1 where it is refused.
tell() {
  printf '%s\n' "$1" | tr ';' '\n' | while IFS= read -r command; do
    tries=0
    while [ "$tries" -lt 20 ]; do
      code=0
      cli "@1 $command" 2 >/dev/null 2>&1 || code=$?
      [ "$code" -eq 1 ] || break
      tries=$((tries + 1))
      sleep 0.1
    done
  done
}

# Who answers 200 takes connections from the first one on, as at a start: until HAProxy's own checks have passed, `rise`
# times `inter`, everybody whom it lets through would be refused. An old primary that does not answer is marked down
# (HAProxy holds what leaves maint to be up), and asked on; one that does keeps the sessions that were not cut.
guard() {
  IFS= read -r back && IFS= read -r down && IFS= read -r owners && IFS= read -r through || exit 0
  echo armed
  IFS= read -r word && [ "$word" = go ] || exit 0
  if IFS= read -r -t "$1" word && [ "$word" = done ]; then exit 0; fi
  servers | awk -v owners=" $owners " 'index(owners, " " $5 " ")' | ask | {
    answered=
    # The first answer counts: a site that swallows packets would cost a second.
    while read -r owner; do
      tell "$back"
      case "$down;" in
        *" $owner health down;"*) ;;
        *) tell "$down" ;;
      esac
      tell "set server $owner health up;$through"
      answered=yes
    done
    [ -n "$answered" ] || tell "$back;$down;$through"
  }
}

# Rows of file $1 whose path nobody of the list $2 serves.
unserved() {
  awk -v up=" $(one_line "$2") " '
    $5 != $1 "/" $2 { next }
    index(up, " " $5 " ") { served[$8] }
    { row[NR] = $0; path[NR] = $8 }
    END { for (n = 1; n <= NR; n++) if (n in row && !(path[n] in served)) print row[n] }' "$1"
}

# Whoever begins to answer after HAProxy has started would be let in `rise` checks later, `inter` apart: seconds in which
# everybody is refused though somebody takes writes (a host that boots, all containers made anew). So where nobody
# answered at the start ($1: its servers) they are asked on for half a minute, and the first yes counts, as it does then.
# Where somebody did HAProxy's checks decide: a late yes of a primary that a switchover stops must not bring it back.
first_look() {
  looks=0
  while [ -s "$1" ] && [ "$looks" -lt 60 ]; do
    running=$(cli '@1 show servers state' 2 | awk '$6 == 2 { print $2 "/" $4 }')
    unserved "$1" "$running" >"$1.new" && mv "$1.new" "$1"
    for owner in $(ask <"$1"); do tell "set server $owner health up"; done
    looks=$((looks + 1))
    sleep 0.5
  done
  rm -f "$1"
}

run() {
  [ -w "$folder" ] || fail "$folder: not writable for uid $(id -u); allowed: a folder of uid 99; fix: chown 99:99 it on the host"
  # Of the container before: its sockets, and a state that may no longer be true.
  rm -f "$folder/admin.sock" "$folder/master.sock" "$state" "$state.new"
  servers >"$folder/servers"
  answers=$(ask <"$folder/servers")
  write_state "$folder/servers" /dev/null "$answers"
  unserved "$folder/servers" "$answers" >"$folder/unserved"
  echo "router: yes from $(one_line "${answers:-nobody}"); every other server starts down" >&2
  # HAProxy has read the file once its socket is there. A reload by another hand must not find it again later.
  # (Twice forked: a child of the container's init, not one that HAProxy would report as lost.)
  ( (until [ -S "$folder/admin.sock" ]; do sleep 0.1; done && rm -f "$state" && first_look "$folder/unserved") & )
  exec haproxy -W -db -S "$folder/master.sock,mode,666,level,admin" -S "127.0.0.1:$cli_port,level,admin" -f "$cfg"
}

reload() {
  refusal=$(haproxy -c -f "$cfg" 2>&1) || fail "$cfg: HAProxy refuses it; the running one is untouched
$refusal"
  # It may have started this moment: the master is not ready, or start's own state file is not read and removed yet.
  tries=0
  until { ping && [ ! -e "$state" ]; } || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  ping || fail "HAProxy's master does not answer on 127.0.0.1:$cli_port; fix: restart the container"
  trap 'rm -f "$folder/servers.new" "$folder/kept" "$state" "$state.new"' EXIT
  servers >"$folder/servers.new"
  [ -e "$folder/servers" ] || : >"$folder/servers"
  # HAProxy takes ports and addresses from the file over the new configuration: only unchanged servers' rows are kept.
  cli '@1 show servers state' | awk '
    FILENAME != "-" { if (FILENAME == ARGV[1]) before[$0]; else if ($0 in before) same[$1 "/" $2]; next }
    ($2 "/" $4) in same' "$folder/servers" "$folder/servers.new" - >"$folder/kept"
  fresh=$(awk 'FILENAME == ARGV[1] { kept[$2 "/" $4]; next } !(($1 "/" $2) in kept)' "$folder/kept" "$folder/servers.new" | ask)
  write_state "$folder/servers.new" "$folder/kept" "$fresh"
  answer=$(cli reload) || answer="its master did not answer"
  case $answer in
    Success=1*) ;;
    *) fail "HAProxy did not reload; the process before goes on: $answer" ;;
  esac
  mv "$folder/servers.new" "$folder/servers"
  wrong=$(cli '@1 show servers state' | awk '
    FILENAME != "-" { port[$1 "/" $2] = $4; address[$1 "/" $2] = $3; next }
    NF > 20 && $1 != "#" {
      key = $2 "/" $4
      if ($19 != port[key] || (address[key] ~ /^[0-9.]+$/ && $5 != address[key])) print key
      delete port[key]
    }
    END { for (key in port) print key }' "$folder/servers" -)
  [ -z "$wrong" ] || fail "after the reload HAProxy has another address or port than $cfg for $(one_line "$wrong")"
}

case ${1:-run} in
  run | reload | ping) "${1:-run}" ;;
  guard) guard "${2:?start.sh guard: seconds are missing}" ;;
  *) fail "start.sh: unknown verb '$1'; allowed: run, reload, ping, guard" ;;
esac
