import { spawn } from "node:child_process";

/**
 * Runs a command in a container of the world with this terminal, and returns its exit code. Ctrl-C goes to it and not
 * to us, as with ssh.
 */
export async function runInside(
  container: string,
  command: readonly string[],
  options: readonly string[] = [],
): Promise<number> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY ? ["-t"] : [];
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      const child = spawn("docker", ["exec", "-i", ...terminal, ...options, container, ...command], {
        stdio: "inherit",
      });
      child.on("error", reject);
      child.on("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 1)));
    });
  } finally {
    process.off("SIGINT", ignore);
  }
}
