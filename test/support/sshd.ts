import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

import type { SshTarget } from "../../infra/hosts/ssh-options.ts";

/** An sshd of the test's own on loopback, with keys of its own and an agent that holds the user's. */
export interface TestSshd {
  readonly target: SshTarget;
  readonly hostKey: string;
  readonly directory: string;
  /** A second host key pair, for a host that changed. */
  readonly otherHostKey: string;
  readonly stop: () => Promise<void>;
}

/** An option of `startSshd` (a comment to sshd): offer no SFTP. */
export const NO_SFTP = "# no sftp";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function makeKey(path: string): string {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path]);
  return readFileSync(`${path}.pub`, "utf8").trim();
}

async function started(child: ChildProcess, sign: RegExp): Promise<void> {
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const hear = (text: Buffer): void => {
      said += text.toString();
      if (sign.test(said)) resolve();
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("exit", (status) => {
      reject(new Error(`ended with status ${String(status)}: ${said}`));
    });
  });
}

/** @param options lines for sshd_config, e.g. `MaxSessions 2`; it offers SFTP unless they hold `NO_SFTP` */
export async function startSshd(options: readonly string[] = []): Promise<TestSshd> {
  const directory = mkdtempSync(join(tmpdir(), "hw-sshd-"));
  const hostKey = makeKey(join(directory, "host"));
  const otherHostKey = makeKey(join(directory, "other"));
  const userKey = makeKey(join(directory, "user"));
  writeFileSync(join(directory, "authorized_keys"), `${userKey}\n`, { mode: 0o600 });
  const port = await freePort();
  const config = [
    "ListenAddress 127.0.0.1",
    `Port ${port}`,
    `HostKey ${join(directory, "host")}`,
    `AuthorizedKeysFile ${join(directory, "authorized_keys")}`,
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "StrictModes no",
    "PidFile none",
    "AcceptEnv HW_*",
    ...options,
    ...(options.includes(NO_SFTP) ? [] : ["Subsystem sftp internal-sftp"]),
  ];
  writeFileSync(join(directory, "sshd_config"), `${config.join("\n")}\n`);
  const agentSocket = join(directory, "agent");
  const agent = spawn("ssh-agent", ["-D", "-a", agentSocket], { stdio: ["ignore", "pipe", "pipe"] });
  await started(agent, /SSH_AUTH_SOCK/);
  execFileSync("ssh-add", ["-q", join(directory, "user")], {
    env: { ...process.env, SSH_AUTH_SOCK: agentSocket },
  });
  // sshd drops privileges into this folder and refuses to start without it.
  execFileSync("mkdir", ["-p", "/run/sshd"]);
  const sshd = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", join(directory, "sshd_config")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  await started(sshd, /Server listening/);
  return {
    target: { address: "127.0.0.1", port, user: userInfo().username, hostKey, agentSocket },
    hostKey,
    otherHostKey,
    directory,
    stop: async () => {
      // The agent takes its socket away as it ends, so the folder goes after both.
      await Promise.all([sshd, agent].map(ended));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}
