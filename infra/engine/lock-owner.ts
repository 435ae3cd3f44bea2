import { readFileSync, readlinkSync } from "node:fs";
import { hostname, userInfo } from "node:os";

/** What a lock file says of its owner: the CLI's fields, and what tells for certain whether the process still lives. */
export interface LockOwner {
  readonly pid: number;
  readonly username: string;
  readonly hostname: string;
  readonly timestamp: string;
  /** Linux only, written by this engine; the CLI ignores it. */
  readonly process?: ProcessMark;
}

/** Names one process of one boot; a process id alone is used again. */
interface ProcessMark {
  readonly bootId: string;
  readonly pidNamespace: string;
  /** Clock ticks from boot to the start of the process. */
  readonly start: string;
}

export function ownLock(): LockOwner {
  const mark = markOf("self");
  return {
    pid: process.pid,
    username: userInfo().username,
    hostname: hostname(),
    timestamp: new Date().toISOString(),
    ...(mark === undefined ? {} : { process: mark }),
  };
}

/** Reads a lock file's text; a file that says nothing has an owner of question marks. */
export function lockOwner(text: string): Partial<LockOwner> {
  try {
    return JSON.parse(text) as Partial<LockOwner>;
  } catch {
    return {};
  }
}

export function describe(owner: Partial<LockOwner>): string {
  return `created by ${owner.username ?? "?"}@${owner.hostname ?? "?"} (pid ${owner.pid ?? "?"}) at ${owner.timestamp ?? "?"}`;
}

/**
 * True when the owner has certainly ended: it was this engine, on this boot of this machine, in this process
 * namespace, and no process of that id and start is left.
 */
export function hasCertainlyEnded(owner: Partial<LockOwner>): boolean {
  const own = markOf("self");
  const mark = owner.process;
  if (own === undefined || mark === undefined || owner.pid === undefined) return false;
  if (mark.bootId !== own.bootId || mark.pidNamespace !== own.pidNamespace) return false;
  return markOf(String(owner.pid))?.start !== mark.start;
}

/** True when there is no process of that id here, on a host of the owner's name: likely ended, but not certainly. */
export function seemsEnded(owner: Partial<LockOwner>): boolean {
  if (owner.hostname !== hostname() || owner.pid === undefined) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

function markOf(pid: string): ProcessMark | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; the 22nd field is the start, the state is the 3rd.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie holds nothing any more.
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return {
      bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      pidNamespace: pid === "self" ? readlinkSync("/proc/self/ns/pid") : "",
      start: fields[19] ?? "",
    };
  } catch {
    return undefined;
  }
}
