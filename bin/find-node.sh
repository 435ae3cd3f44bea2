# Sourced by every bin/*: sets ROOT and NODE. The Node that the package brings is used, never the host's
# (the code needs 22 or newer and Debian ships 18 or 20; see docs/decisions/0001-node-from-npm.md).
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
find_node() {
  for NODE in "$ROOT"/node_modules/node-*/bin/node; do
    [ -x "$NODE" ] && return 0
  done
  return 1
}
if ! find_node || ! [ -f "$ROOT/node_modules/.package-lock.json" ]; then
  command -v npm >/dev/null || {
    echo "error: npm is not installed; heatwave installs its packages with it (Debian: apt-get install npm)" >&2
    exit 1
  }
  echo "Installing the packages of package-lock.json (npm ci) ..." >&2
  (cd "$ROOT" && npm ci --no-progress --loglevel=error >&2) || exit 1
  find_node || {
    echo "error: npm ci brought no Node for $(uname -s) $(uname -m); allowed: Linux x86_64 and aarch64, macOS" >&2
    exit 1
  }
fi
PATH="$(dirname -- "$NODE"):$PATH"
export PATH
# Compiled code is kept: who looks at a broken stack should not wait for the compiler, and a world's test calls these verbs
# hundreds of times (bin/rehearse --help: 2.3 s without, 0.7 s with it, on two busy cores).
NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-$ROOT/node_modules/.cache/node-compile}
export NODE_COMPILE_CACHE
