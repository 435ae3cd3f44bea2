import type { StackHost } from "./stack-host.ts";

/** What a host has of some files and containers, as it is at this moment. */
export interface HostContents {
  /** sha256 (hex) by path; of a file that is not there, none. */
  readonly files: ReadonlyMap<string, string>;
  /** Files beside which host-tool's mark stands: swapped in, and not confirmed by their reader. */
  readonly unsettled: ReadonlySet<string>;
  /** What `docker inspect` says of each container that exists. */
  readonly containers: readonly unknown[];
}

const LOOK_SECONDS = 30;

/** Files first, one a line; containers after `--`. */
const LOOK = `
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  sum=$(sha256sum "$1" 2>/dev/null | cut -d ' ' -f 1)
  [ ! -e "\${1%/*}/.\${1##*/}.pending" ] && mark=settled || mark=pending
  printf '%s %s %s\\n' "\${sum:-none}" "$mark" "$1"
  shift
done
shift
echo containers
[ $# -eq 0 ] && { echo '[]'; exit 0; }
docker version >/dev/null || exit 1
docker inspect --type container "$@" 2>/dev/null || :
`;

/**
 * Reads and changes nothing.
 * @throws SshError when the host cannot be reached, Error with Docker's words when its daemon does not answer
 */
export async function lookAtHost(
  host: Pick<StackHost, "name" | "run">,
  files: readonly string[],
  containers: readonly string[],
): Promise<HostContents> {
  const { exitCode, stdout, stderr } = await host.run(LOOK, [...files, "--", ...containers], {
    seconds: LOOK_SECONDS,
  });
  if (exitCode !== 0) throw new Error(`${host.name}: ${stderr.trim().split("\n").at(-1) ?? "no answer"}`);
  return readContents(stdout);
}

/** The answer of `LOOK`. */
export function readContents(text: string): HostContents {
  const at = text.indexOf("containers\n");
  const lines = text
    .slice(0, at)
    .split("\n")
    .flatMap((line) => {
      const [, sum = "", mark = "", path = ""] = /^(\S+) (\S+) (.+)$/.exec(line) ?? [];
      return path === "" ? [] : [{ sum, mark, path }];
    });
  return {
    files: new Map(lines.filter(({ sum }) => sum !== "none").map(({ sum, path }) => [path, sum])),
    unsettled: new Set(lines.filter(({ mark }) => mark === "pending").map(({ path }) => path)),
    containers: JSON.parse(text.slice(at + "containers\n".length)) as unknown[],
  };
}
