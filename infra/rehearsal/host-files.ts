import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { docker, tryDocker } from "./docker.ts";

/** Where a machine keeps what its world has told it. */
export const WORLD_FOLDER = "/etc/heatwave-world.d";

/** In that folder: the size of a host's own disk, for its boot and for whoever asks. */
export const DISK_FILE = "disk";

/** Writes files in a container, which need not run, without showing them to anyone else. */
export async function give(
  container: string,
  state: string | undefined,
  folder: string,
  files: Readonly<Record<string, string>>,
  mode = 0o600,
): Promise<void> {
  if (state === "running") {
    // `docker cp` would mount all its volumes a second time, which Docker then complains of in its log.
    const script = 'umask 077 && cat > "$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1"';
    for (const [name, text] of Object.entries(files)) {
      const path = `${folder}/${name}`;
      const shell = ["sh", "-c", script, "sh", path, mode.toString(8)];
      await docker(["exec", "-i", container, ...shell], { input: text });
    }
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), "heatwave-give-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode });
    // File by file: a folder would bring its own mode with it.
    for (const name of Object.keys(files)) {
      await docker(["cp", "-q", join(directory, name), `${container}:${folder}/${name}`]);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * The text of a file in a container, which need not run; empty when there is none.
 * @param from bytes at its beginning that are left out
 */
export async function readInside(
  container: string,
  state: string | undefined,
  path: string,
  from = 0,
): Promise<string> {
  if (state === "running") {
    const read = await tryDocker(["exec", container, "tail", "-c", `+${from + 1}`, path]);
    return read.exitCode === 0 ? read.stdout : "";
  }
  const copied = await tryDocker(["cp", `${container}:${path}`, "-"]);
  // A tar of one file: a header of 512 bytes, then the text, then NULs.
  return copied.exitCode === 0 ? copied.stdout.slice(512 + from).replaceAll("\0", "") : "";
}
