import { once } from "node:events";
import type { StackHost } from "../../hosts/stack-host.ts";
import type { Lock, LockView } from "../observe/observation.ts";
import { readLock } from "../observe/operations.ts";
import { RunbookError } from "../runbook-error.ts";
import { allOf } from "./all-of.ts";
import type { LockDoors } from "./lock-doors.ts";

/** host-tool's exit code for a lock that somebody else holds. */
const HELD = 3;
/** Seconds to take a lock: host-tool waits that long for an `up` that works on the host, and a little more. */
const TAKE_SECONDS = 75;

/** The locks of one run, each alive as long as this process and its connection are. */
export interface Locks {
  readonly token: string;
  readonly hosts: readonly StackHost[];
  /** Gives all of them back; one that cannot be given back is named. */
  release(): Promise<readonly string[]>;
}

export interface LockRequest {
  readonly lock: Omit<Lock, "host">;
  /** In the order in which every runbook takes them: the stack file's. */
  readonly hosts: readonly StackHost[];
  /** By host: token of a dead run's lock that may be taken over. */
  readonly takeOver?: ReadonlyMap<string, string>;
  /**
   * What was started before it is needed.
   * @default nothing
   */
  readonly doors?: LockDoors;
}

/**
 * Takes the lock on every host, or none: on the first one alone, which decides who of two is through, then on the others at
 * once. Nobody waits for a lock that is held, so none waits for the other.
 * @throws {RunbookError} refused, with who holds it, why and since when
 */
export async function takeLocks({ lock, hosts, takeOver, doors }: LockRequest): Promise<Locks> {
  const taken: { readonly host: StackHost; readonly leave: () => Promise<void> }[] = [];
  const release = async (): Promise<readonly string[]> => {
    const kept: string[] = [];
    for (const { host, leave } of taken.splice(0).reverse()) {
      try {
        const done = await host.tool(["unlock", lock.token], { seconds: 15 });
        if (done.exitCode !== 0) kept.push(`${host.name}: ${done.stderr.trim()}`);
      } catch (error) {
        kept.push(`${host.name}: ${(error as Error).message}`);
      }
      await leave();
    }
    return kept;
  };
  const takeOne = async (host: StackHost): Promise<void> => {
    taken.push({ host, leave: await take(host, lock, takeOver?.get(host.name), doors) });
  };
  try {
    const [first, ...others] = hosts;
    if (first !== undefined) await takeOne(first);
    await allOf(others.map(takeOne));
  } catch (error) {
    await release();
    throw error;
  }
  return { token: lock.token, hosts, release };
}

async function take(
  host: StackHost,
  lock: Omit<Lock, "host">,
  takeOver: string | undefined,
  doors: LockDoors | undefined,
): Promise<() => Promise<void>> {
  const started = takeOver === undefined ? await doors?.take(host.name) : undefined;
  const child = started ?? (await host.toolStream(["lock", ...(takeOver === undefined ? [] : [takeOver])]));
  let out = "";
  let err = "";
  child.stderr.on("data", (text: Buffer) => (err += text.toString()));
  // What is written to a session that has ended is nobody's business.
  child.stdin.on("error", () => undefined);
  const closed = once(child, "close") as Promise<[code: number | null]>;
  const locked = new Promise<boolean>((resolve) => {
    child.stdout.on("data", (text: Buffer) => {
      out += text.toString();
      if (out.startsWith("locked\n")) resolve(true);
    });
    void closed.then(() => resolve(false));
  });
  child.stdin.write(`${JSON.stringify({ host: host.name, ...lock })}\n`);
  const timer = setTimeout(() => child.kill("SIGTERM"), TAKE_SECONDS * 1000);
  const ok = await locked;
  clearTimeout(timer);
  if (ok)
    return async () => {
      child.stdin.end();
      await closed;
    };
  const [code] = await closed;
  if (code === HELD) {
    const [state = "", text = ""] = out.split("\n");
    throw heldBy(readLock(state, text));
  }
  throw new RunbookError(
    "refused",
    `the lock on ${host.name} cannot be taken: ${err.trim().replace(/^error: /, "") || "no answer"}`,
    `bin/recovery ${lock.stack} topology`,
  );
}

function heldBy({ host, stack, verb, who, since, alive }: LockView): RunbookError {
  return alive
    ? new RunbookError(
        "refused",
        `${host} is locked by ${verb} (${who}, since ${since})`,
        `wait for its end: bin/recovery ${stack} topology --watch`,
      )
    : new RunbookError(
        "refused",
        `${host} is locked by ${verb} (${who}, since ${since}), whose controller is gone`,
        `bin/recovery ${stack} resume`,
      );
}
