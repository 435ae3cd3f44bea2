import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { tryDocker } from "../../rehearsal/docker.ts";

/**
 * Notes its process id for signals, then becomes the command. Looks for it first, since the shell's own words for a
 * missing one name the wrapper. 127 is the shell's exit code for it.
 */
const WRAPPER = `echo $$ > "$1"; shift
case $1 in
  */*) [ -e "$1" ] ;;
  *) command -v "$1" > /dev/null ;;
esac || { echo "error: $1 is not on $0" >&2; exit 127; }
exec "$@"`;

let running = 0;

/** True while a command inside has the operator's ear: Ctrl-C is its business then. */
export function insideHasControl(): boolean {
  return running > 0;
}

/** Where a command runs. */
export interface Place {
  /** As the operator calls it: `dal-01`, `controller`. */
  readonly name: string;
  readonly container: string;
}

export interface InsideOptions {
  /** Options of `docker exec`. */
  readonly exec?: readonly string[];
  /** Sends the command's stdout to stderr, where a report of our own goes to stdout. */
  readonly stdoutToStderr?: boolean;
}

/**
 * Runs a command in a container of the world with this terminal and returns its exit code. Ctrl-C goes to it and not to
 * us, as with ssh. Docker's client forwards no signals without a terminal, so then we carry them over ourselves.
 */
export async function runInside(
  { name, container }: Place,
  command: readonly string[],
  options: InsideOptions = {},
): Promise<number> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY && options.stdoutToStderr !== true;
  const pidFile = `/run/heatwave-${randomUUID()}.pid`;
  const wrapped = ["sh", "-c", WRAPPER, name, pidFile, ...command];
  const forward = (signal: NodeJS.Signals) => {
    if (terminal) return;
    void tryDocker(["exec", container, "sh", "-c", `kill -${signal.slice(3)} "$(cat "$0")"`, pidFile]);
  };
  process.on("SIGINT", forward);
  process.on("SIGTERM", forward);
  running += 1;
  try {
    return await new Promise<number>((resolve, reject) => {
      const args = [
        "exec",
        "-i",
        ...(terminal ? ["-t"] : []),
        ...(options.exec ?? []),
        container,
        ...wrapped,
      ];
      const child = spawn("docker", args, {
        stdio: ["inherit", options.stdoutToStderr === true ? 2 : "inherit", "inherit"],
        // A session of its own: the terminal's signals reach us alone, and the client stays to report the end.
        detached: !terminal,
      });
      child.on("error", reject);
      child.on("close", (code) => resolve(code ?? 1));
    });
  } finally {
    running -= 1;
    process.off("SIGINT", forward);
    process.off("SIGTERM", forward);
    await tryDocker(["exec", container, "rm", "-f", pidFile]);
  }
}
