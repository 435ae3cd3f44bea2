import type { ChildProcessWithoutNullStreams } from "node:child_process";
import type { StackHost } from "../../hosts/stack-host.ts";

/**
 * `host-tool lock` on every host, started and waiting for the line that takes the lock. Nothing is locked by it. It starts
 * while the stack is looked at and the operator is asked: afterwards writes may be waiting, and a lock is one line there
 * and one back.
 */
export class LockDoors {
  readonly #doors: Map<string, Promise<ChildProcessWithoutNullStreams | undefined>>;

  private constructor(doors: Map<string, Promise<ChildProcessWithoutNullStreams | undefined>>) {
    this.#doors = doors;
  }

  static open(hosts: readonly StackHost[]): LockDoors {
    return new LockDoors(new Map(hosts.map((host) => [host.name, open(host)])));
  }

  /** The host's; undefined where it could not be started or has ended. Given once: whoever has it ends it. */
  async take(host: string): Promise<ChildProcessWithoutNullStreams | undefined> {
    const door = this.#doors.get(host);
    this.#doors.delete(host);
    const child = await door;
    return child?.exitCode === null && child.signalCode === null ? child : undefined;
  }

  /** Ends those that nobody took. A host that does not answer is not waited for. */
  close(): void {
    for (const door of this.#doors.values()) void door.then((child) => child?.stdin.end());
    this.#doors.clear();
  }
}

async function open(host: StackHost): Promise<ChildProcessWithoutNullStreams | undefined> {
  try {
    const child = await host.toolStream(["lock"]);
    // What is written to a session that has ended is nobody's business.
    child.stdin.on("error", () => undefined);
    return child;
  } catch {
    // Whoever needs this host's lock asks again, and hears why.
    return undefined;
  }
}
