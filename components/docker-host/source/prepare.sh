# --- prepare: what the host itself has to be --------------------------------------------------------------------------

settings() {
  sysctls
  space "$root" 256
  live_restore
  clock
  ssh_server
}

sysctls() {
  # Without it a container whose tailnet address comes late is never retried by Docker (moby#39559).
  printf 'net.ipv4.ip_nonlocal_bind = 1\n' >/etc/sysctl.d/60-heatwave.conf.new
  mv /etc/sysctl.d/60-heatwave.conf.new /etc/sysctl.d/60-heatwave.conf
  sysctl -q -w net.ipv4.ip_nonlocal_bind=1 || fail "$(uname -n): the kernel refuses net.ipv4.ip_nonlocal_bind=1, without which a container whose tailnet address comes late stays down; fix: set it as root of the machine itself (sysctl -w net.ipv4.ip_nonlocal_bind=1)"
}

# Is there room? $1: a folder, or a Docker volume (then where Docker keeps it); $2: MB that must be free, $3: MB that
# should be.
space() {
  what=$1 least=$2 better=${3:-$2}
  case $what in
    /*) folder=$what ;;
    *) folder=$(docker volume inspect --format '{{.Mountpoint}}' "$what" 2>/dev/null) || folder=$(docker info --format '{{.DockerRootDir}}') ;;
  esac
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free=$(df -P -m "$folder" | awk 'NR == 2 { print $4 }')
  fix="fix: free or add space there"
  [ "$free" -ge "$least" ] || fail "$(uname -n): $what has $free MB free in $folder, and needs $least MB; $fix"
  [ "$free" -ge "$better" ] || say "warning: $(uname -n): $what has $free MB free in $folder, and PostgreSQL may come to keep $better MB of WAL there; $fix, or lower max_slot_wal_keep_size"
}

# With live-restore Docker's daemon may end, crash or be upgraded, and every container runs on. Where somebody else keeps
# its configuration, it is only said.
live_restore() {
  [ "$(docker info --format '{{.LiveRestoreEnabled}}')" != true ] || return 0
  config=/etc/docker/daemon.json
  reason=$(live_restore_obstacle) && {
    say "warning: $(uname -n): Docker's live-restore stays off, so that its containers restart with its daemon: $reason"
    return 0
  }
  new=$config.heatwave
  if grep -q '[^[:space:]]' "$config" 2>/dev/null; then
    # Put in as the first key; what is there stays as it is, byte for byte.
    awk '!done && sub(/{/, "{\n  \"live-restore\": true,") { done = 1 } { print }' "$config" |
      awk '{ text = text $0 "\n" } END { sub(/true,[[:space:]]*}/, "true\n}", text); printf "%s", text }' >"$new"
  else
    install -d -m 0755 /etc/docker
    printf '{\n  "live-restore": true\n}\n' >"$new"
  fi
  if ! refusal=$(dockerd --validate --config-file "$new" 2>&1); then
    rm -f "$new"
    fail "$(uname -n): dockerd refuses $config with \"live-restore\": true; fix: add it by hand:
$refusal"
  fi
  [ ! -e "$config" ] || cp -p "$config" "$config.before-heatwave"
  chmod 0644 "$new"
  sync "$new"
  mv "$new" "$config"
  # A reload: it touches no container.
  kill -HUP "$(cat /run/docker.pid)"
  await 10 live_restore_is_on && return 0
  if [ -e "$config.before-heatwave" ]; then mv "$config.before-heatwave" "$config"; else rm -f "$config"; fi
  kill -HUP "$(cat /run/docker.pid)"
  fail "$(uname -n): dockerd did not take \"live-restore\": true within 10 s; the old $config is back; fix: see dockerd's log"
}

live_restore_is_on() { [ "$(docker info --format '{{.LiveRestoreEnabled}}')" = true ]; }

# Says what keeps heatwave from switching it on; fails where nothing does.
live_restore_obstacle() {
  if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != inactive ]; then
    echo 'the host is in a swarm, which excludes it'
  elif ! command -v dockerd >/dev/null || [ ! -r /run/docker.pid ]; then
    echo 'its daemon is not managed in the usual way (no dockerd or /run/docker.pid); fix: set "live-restore": true there'
  elif tr '\0' '\n' <"/proc/$(cat /run/docker.pid)/cmdline" | grep -q -e '^--live-restore' -e '^--config-file'; then
    echo "dockerd's command line says so; fix: add --live-restore there"
  elif [ -L "$config" ]; then
    echo "$config is a link to a file that is managed elsewhere; fix: set \"live-restore\": true there"
  elif grep -q '"live-restore"' "$config" 2>/dev/null; then
    echo "$config says so"
  elif grep -q '[^[:space:]]' "$config" 2>/dev/null && ! dockerd --validate --config-file "$config" >/dev/null 2>&1; then
    echo "$config is not valid as it is; fix: dockerd --validate --config-file $config"
  else
    return 1
  fi
}

# PostgreSQL's safety rests on no clock, but lag in seconds and logs of several sites do.
clock() {
  if [ -e /.dockerenv ] || [ -e /run/.containerenv ] || grep -q . /run/systemd/container 2>/dev/null; then
    say "note: $(uname -n) is a container: its clock is that of the machine it runs on"
    return 0
  fi
  case $(timedatectl show -p NTPSynchronized --value 2>/dev/null) in
    yes) return 0 ;;
    no) say "warning: $(uname -n): the clock is not synchronised (timedatectl); fix: timedatectl set-ntp true, or see why its server is not reached" ;;
    *)
      pgrep -x 'chronyd|ntpd|ntpsec|systemd-timesyn|openntpd' >/dev/null ||
        say "warning: $(uname -n): nothing synchronises the clock; fix: apt-get install chrony, or what else your hosts use"
      ;;
  esac
}

# Docker's and PostgreSQL's sockets are reached by SSH's forwarding; several sessions share one connection.
ssh_server() {
  # Words are lower case up to OpenSSH 9, and as the manual writes them from 10 on.
  sshd=$(command -v sshd || ls /usr/sbin/sshd 2>/dev/null) || {
    say "warning: $(uname -n): no OpenSSH server is found; runbooks need its socket forwarding; fix: apt-get install openssh-server"
    return 0
  }
  effective=$("$sshd" -T -C user="${SUDO_USER:-root}" -C host=localhost -C addr=127.0.0.1 2>/dev/null) || return 0
  case $(printf '%s\n' "$effective" | awk 'tolower($1) == "allowstreamlocalforwarding" { print tolower($2) }') in
    yes | all | local | '') ;;
    *) fail "$(uname -n): sshd's AllowStreamLocalForwarding is off for ${SUDO_USER:-root}; allowed: yes; fix: set it in /etc/ssh/sshd_config, then reload sshd" ;;
  esac
  sessions=$(printf '%s\n' "$effective" | awk 'tolower($1) == "maxsessions" { print $2 }')
  [ "${sessions:-10}" -ge 10 ] ||
    fail "$(uname -n): sshd's MaxSessions is $sessions for ${SUDO_USER:-root}; allowed: 10 or more; fix: set it in /etc/ssh/sshd_config, then reload sshd"
}
