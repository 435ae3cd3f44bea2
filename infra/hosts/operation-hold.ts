import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { describeTarget, SshError } from "./ssh-errors.ts";
import { borrowHost } from "./ssh-pool.ts";
import type { StackHostAddress } from "./stack-host.ts";

/** Seconds until the host must have said that it is held; its own tool waits 60 s for a runbook that is about to begin. */
const HELD_SECONDS = 75;

/** Seconds until a verb that was told to end has ended. */
const RELEASE_SECONDS = 5;

export interface HostHold {
  /** What the host's tool said when it held the host, in one line. */
  readonly said: string;
  /** Ends it. @returns what the tool said on stderr meanwhile */
  readonly release: () => Promise<string>;
}

export interface HoldOptions {
  /** Verb of the tool with its words: it says one line once it holds the host, and ends with its stdin. @default "hold" */
  readonly verb?: string;
  /** Seconds that its end may take. @default 5 */
  readonly releaseSeconds?: number;
}

/**
 * Keeps runbooks off a host, as every verb of `up` does while it runs, until `release`, or until this process is gone.
 * @throws Error with the host's words while a runbook holds it; SshError when the host cannot be reached
 */
export async function holdHost(
  { address, ssh, root }: StackHostAddress,
  { verb = "hold", releaseSeconds = RELEASE_SECONDS }: HoldOptions = {},
): Promise<HostHold> {
  const target = { address, port: ssh.port, user: ssh.user, hostKey: ssh.hostKey };
  const { host, release } = borrowHost(target);
  try {
    await host.connect({ attempts: 2, timeoutSeconds: 10 });
    const child = await host.stream(`${ssh.user === "root" ? "" : "sudo -n "}${root}/bin/host-tool ${verb}`);
    let printed = "";
    child.stderr.on("data", (text: Buffer) => (printed += text.toString()));
    let said = "";
    const held = once(child.stdout, "data").then(([text]: Buffer[]) => {
      said = String(text).trim();
      return "held" as const;
    });
    const ended = once(child, "close").then(() => "ended" as const);
    held.catch(() => undefined);
    const first = await Promise.race([
      held,
      ended,
      pause(HELD_SECONDS * 1000, "late" as const, { ref: false }),
    ]);
    if (first !== "held") {
      child.kill();
      const why = first === "late" ? `no answer within ${HELD_SECONDS} s` : printed.trim();
      throw new SshError("failed", `${describeTarget(target)}: ${why.replace(/^error: /, "")}`);
    }
    return {
      said,
      release: async () => {
        child.stdin.end();
        await Promise.race([ended, pause(releaseSeconds * 1000, undefined, { ref: false })]);
        child.kill();
        await release();
        return printed.trim();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}
