# --- firewall: who may reach the stack's ports ------------------------------------------------------------------------
#
# $root/firewall/rules holds the text that is in force (components/firewall/render/rules.ts). The rules stand in chains of
# our own, so that nothing of Docker's, tailscaled's or anybody else's is touched but for one jump in each of:
HOOKS='filter:DOCKER-USER mangle:FORWARD'
chains='HEATWAVE HEATWAVE-PEERS'
# A kernel without IPv6 has nothing to keep shut there.
families="iptables$([ ! -d /proc/sys/net/ipv6 ] || echo ' ip6tables')"
unit=/etc/systemd/system/heatwave-firewall.service

firewall() {
  rules=$root/firewall/rules
  command -v iptables >/dev/null && command -v ip6tables >/dev/null ||
    fail "$(uname -n): there is no iptables command; fix: install iptables, which Docker's own rules need as well"
  case ${1:-} in
    apply) firewall_apply "$2" ;;
    restore) firewall_restore ;;
    check) firewall_check ;;
    remove) firewall_remove ;;
    *) fail "host-tool firewall: unknown word '${1:-}'; allowed: apply SHA256, restore, check, remove" ;;
  esac
}

# Text on stdin. In force first, kept for the next boot then: a text that iptables refuses is not kept.
firewall_apply() {
  firewall_is_ours
  install -d -m 0755 "$root/firewall"
  exec 6>"$root/firewall/.lock"
  flock -w 60 6 || fail "$(uname -n): another \`up\` has been setting the firewall for a minute; fix: see what runs ($root/bin/host-tool in \`ps\`), end it, run \`pulumi up\` again"
  cat >"$rules.new"
  [ "$(sum "$rules.new")" = "$1" ] || fail "$rules: the text that arrived has another sha256 than $1; run \`pulumi up\` again"
  if ! refusal=$(firewall_load "$rules.new" 2>&1); then
    rm -f "$rules.new"
    # (`--test` of iptables-nft finds only part of what the kernel refuses: so it is tried, and undone.)
    if [ -e "$rules" ]; then firewall_load "$rules"; else firewall_unload; fi
    fail "$(uname -n): the new rules did not come into force; the old ones are back:
$refusal"
  fi
  [ -z "$refusal" ] || say "$refusal"
  sync "$rules.new"
  mv "$rules.new" "$rules"
  firewall_unit
}

# After a boot. Where the stack has none any more there is nothing to do.
firewall_restore() {
  [ ! -e "$rules" ] || firewall_load "$rules"
}

# Changes nothing: are the rules that are kept in the kernel too, and does everything that is forwarded come by?
firewall_check() {
  [ -e "$rules" ] || fail "$(uname -n): there are no rules at $rules"
  for family in $families; do firewall_verify "$rules"; done
}

# $1: the text. Each table is replaced as a whole; a jump is put in once, before everything else there.
firewall_load() {
  for family in $families; do
    "$family-restore" -w 10 --noflush <"$1" || fail "$(uname -n): $family refuses the rules in $1"
    for hook in $HOOKS; do
      table=${hook%:*} chain=${hook#*:}
      # Docker takes DOCKER-USER as it finds it; before its first start, and with its nftables backend, there is none.
      "$family" -w 10 -t "$table" -n -L "$chain" >/dev/null 2>&1 || "$family" -w 10 -t "$table" -N "$chain"
      "$family" -w 10 -t "$table" -C "$chain" -j HEATWAVE 2>/dev/null ||
        "$family" -w 10 -t "$table" -I "$chain" 1 -j HEATWAVE
    done
    firewall_verify "$1"
  done
}

# Are the rules really there, as many as the text has, and does everything that is forwarded come by?
firewall_verify() {
  skip=$([ "$family" = iptables ] && echo -6 || echo -4)
  for hook in $HOOKS; do
    table=${hook%:*} chain=${hook#*:}
    wanted=$(awk -v table="*$table" -v skip="$skip" '/^\*/ { on = $0 == table } on && $1 != skip && / -A |^-A / { n++ } END { print n + 0 }' "$1")
    found=$("$family" -w 10 -t "$table" -S | grep -c -E '^-A HEATWAVE(-PEERS)? ' || :)
    [ "$found" = "$wanted" ] || fail "$(uname -n): table $table of $family has $found of $wanted rules; fix: see what else sets rules there ($family -t $table -S), then run \`pulumi up\` again"
    "$family" -w 10 -t "$table" -C "$chain" -j HEATWAVE 2>/dev/null ||
      fail "$(uname -n): nothing of table $table of $family comes by heatwave's rules: $chain has no jump to them"
    "$family" -w 10 -t "$table" -S "$chain" | grep '^-A' | head -n 1 | grep -q -e '-j HEATWAVE$' ||
      say "warning: $(uname -n): $family has other rules in $chain (table $table) before heatwave's; fix: see $family -t $table -S $chain"
  done
}

firewall_unload() {
  for family in $families; do
    for hook in $HOOKS; do
      table=${hook%:*} chain=${hook#*:}
      while "$family" -w 10 -t "$table" -C "$chain" -j HEATWAVE 2>/dev/null; do
        "$family" -w 10 -t "$table" -D "$chain" -j HEATWAVE
      done
      for own in $chains; do "$family" -w 10 -t "$table" -F "$own" 2>/dev/null || :; done
      for own in $chains; do "$family" -w 10 -t "$table" -X "$own" 2>/dev/null || :; done
    done
  done
}

firewall_remove() {
  firewall_is_ours
  firewall_unload
  if [ -e "$unit" ]; then
    [ ! -d /run/systemd/system ] || systemctl disable heatwave-firewall.service
    rm -f "$unit"
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
  fi
  rm -rf "$root/firewall"
}

# The chains' names are the host's, not the stack's: two stacks on one host would take turns in overwriting them.
firewall_is_ours() {
  [ ! -e "$unit" ] || grep -q "^ExecStart=$root/bin/host-tool " "$unit" ||
    fail "$(uname -n): another stack has a firewall here ($unit); allowed: one with a firewall on a host; fix: set heatwave:firewall.enabled: false in one of the two"
}

# A reboot takes rules away. They are back before Docker starts a container.
firewall_unit() {
  install -d -m 0755 "${unit%/*}"
  cat >"$unit.new" <<UNIT
[Unit]
Description=heatwave: who may reach the stack's ports
Before=docker.service
RequiresMountsFor=$root

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$root/bin/host-tool firewall restore

[Install]
WantedBy=multi-user.target
UNIT
  if cmp -s "$unit.new" "$unit"; then
    rm -f "$unit.new"
  else
    mv "$unit.new" "$unit"
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
  fi
  if [ -d /run/systemd/system ]; then
    systemctl -q enable heatwave-firewall.service
  else
    say "note: $(uname -n) has no systemd: have its boot run $root/bin/host-tool firewall restore before Docker"
  fi
}
