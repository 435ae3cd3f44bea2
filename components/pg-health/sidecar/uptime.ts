/** The host's boot: its clock, and a token that another boot does not have. */
import { readFile, stat } from "node:fs/promises";

/** Seconds since the host booted, on the clock of the entrypoint's heartbeat (os.uptime() may use another). */
export async function uptime(): Promise<number> {
  return Number((await readFile("/proc/uptime", "utf8")).split(" ")[0]);
}

/**
 * A token of this boot: when a folder of the host's /run was made, which a reboot empties. (The kernel's boot id
 * would not do where hosts share a kernel, as in a rehearsal.) Undefined where there is no such folder.
 */
export async function bootToken(directory: string): Promise<string | undefined> {
  try {
    const { ino, ctimeNs } = await stat(directory, { bigint: true });
    return `${ino}.${ctimeNs}`;
  } catch {
    return undefined;
  }
}
