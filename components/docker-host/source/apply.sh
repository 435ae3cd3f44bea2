# --- apply: check, swap, reload, verify, undo -------------------------------------------------------------------------
#
# Beside a target stand, while it is replaced:
#   .NAME.new       the candidate, checked before it counts
#   .NAME.old       the last text that was verified to be in force
#   .NAME.pending   from before the swap until the reader was verified to have it: a run that finds it (the one before
#                   was killed) reloads and verifies whatever the sha256 says
# Sets for readers.sh: kind, container, name, directory, target, new.

folder() {
  container=$1 owner=$2
  shift 2
  install -d -m 0755 "$root/$container"
  for sub; do
    case $sub in
      *@ssh)
        sub=${sub%@ssh}
        install -d -m "${sub#*=}" -o "${owner%:*}" -g "${SUDO_GID:-0}" "$root/$container/${sub%%=*}"
        ;;
      # The SSH user copies here; what counts is what `file` installs from it.
      conf/incoming) install -d -m 0755 -o "${SUDO_UID:-0}" -g "${SUDO_GID:-0}" "$root/$container/$sub" ;;
      *) install -d -m "${sub#*=}" -o "${owner%:*}" -g "${owner#*:}" "$root/$container/${sub%%=*}" ;;
    esac
  done
}

file() {
  kind=$1 container=$2 sha256=$4
  places "${3%/*}" "${3##*/}"
  one_at_a_time
  incoming=$root/$container/conf/incoming/$name
  # The copy may be missing or half written (a killed `up`); stdin holds the same text and heals it.
  if [ "$(sum "$incoming")" = "$sha256" ]; then
    keep <"$incoming"
    cat >/dev/null
  else
    keep
  fi
  [ "$(sum "$new")" = "$sha256" ] || fail "$target: the text that arrived has another sha256 than $sha256; run \`pulumi up\` again"
  chmod 0644 "$new"
  put_in_force
}

# The last line of a secret's stdin: an `up` that is killed while it sends must not leave half a password.
end_of_secret='
--end of secret--'

secret() {
  kind=$1 container=$2 owner=$4
  umask 077
  places secrets "$3"
  one_at_a_time
  keep
  [ "$(tail -c ${#end_of_secret} "$new")" = "$end_of_secret" ] || {
    rm -f "$new"
    fail "$target: the secret did not arrive whole; run \`pulumi up\` again"
  }
  truncate -s "-${#end_of_secret}" "$new"
  chown "$owner" "$new"
  put_in_force
}

# Stdin as the candidate.
keep() {
  trouble=$({ cat >"$new"; } 2>&1) || {
    rm -f "$new"
    fail "$new cannot be written, the old $name stays in force; fix: make room or mend the file system (df $directory), then run \`pulumi up\` again:
$trouble"
  }
}

places() {
  directory=$root/$container/$1 name=$2
  target=$directory/$name new=$directory/.$name.new
}

# Two applies to one container take turns: both would reload one process.
one_at_a_time() {
  exec 6>"$root/$container/.lock"
  flock -w 600 6 || fail "$container: another \`up\` has been applying a file for ten minutes; fix: see what runs ($root/bin/host-tool in \`ps\`), end it, run \`pulumi up\` again"
}

put_in_force() {
  if cmp -s "$new" "$target" && [ -z "$(unsettled)" ]; then
    rm -f "$new"
    return 0
  fi
  refusal=$(check 2>&1) || {
    rm -f "$new"
    fail "$container refuses $name; the old one stays in force:
$refusal"
  }
  sync "$new"
  remember "$directory/.$name"
  mv "$new" "$target"
  sync "$directory"
  # A program counts when the text that it is started with does: its reader is restarted once, for both.
  [ "$kind" != program ] || return 0
  if reason=$(take_over 2>&1); then
    forget
    [ -z "$reason" ] || say "$reason"
    return 0
  fi
  put_back
  if again=$(take_over 2>&1); then
    forget
    fail "$container did not take $name; the old one is back in force:
$reason"
  fi
  fail "$container did not take $name, and did not confirm the old one, which is back in its place; fix: see \`docker logs $container\`, then run \`pulumi up\` again:
$reason
$again"
}

# Marks ($1: a target's path before its suffix): what was verified last is kept until something else is.
remember() {
  mark=$1
  shown=${mark##*/.}
  [ ! -e "$mark.pending" ] || return 0
  if [ -e "${mark%/*}/$shown" ]; then
    cp -p "${mark%/*}/$shown" "$mark.old"
    sync "$mark.old"
  else
    rm -f "$mark.old"
  fi
  : >"$mark.pending"
  sync "$mark.pending" "${mark%/*}"
}

# The marks of this text; of a reader that is restarted, those of its programs too.
unsettled() {
  for found in "$directory/.$name.pending" $([ "$kind" != restart ] || echo "$root/$container"/*/.*.pending); do
    [ ! -e "$found" ] || echo "${found%.pending}"
  done | sort -u
}

forget() {
  for mark in $(unsettled); do rm -f "$mark.old" "$mark.pending"; done
}

put_back() {
  for mark in $(unsettled); do
    shown=${mark%/*}/${mark##*/.}
    if [ -e "$mark.old" ]; then
      cp -p "$mark.old" "$mark.back"
      sync "$mark.back"
      mv "$mark.back" "$shown"
    else
      rm -f "$shown"
    fi
    sync "${mark%/*}"
  done
}

# (A failing part has to say so itself: `set -e` is off where a function is asked for its success.)
take_over() {
  running "$container" || return 0
  reload && verify
}

sum() { sha256sum "$1" 2>/dev/null | cut -d ' ' -f 1; }
