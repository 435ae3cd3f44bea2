import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { tryDocker } from "../../rehearsal/docker.ts";

let running = 0;

/** True while a command inside has the operator's ear: Ctrl-C is its business then. */
export function insideHasControl(): boolean {
  return running > 0;
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
  container: string,
  command: readonly string[],
  options: InsideOptions = {},
): Promise<number> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY && options.stdoutToStderr !== true;
  const pidFile = `/run/heatwave-${randomUUID()}.pid`;
  const wrapped = ["sh", "-c", 'echo $$ > "$0"; exec "$@"', pidFile, ...command];
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
