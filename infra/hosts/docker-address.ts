import { readPinnedArguments } from "./ssh-options.ts";
import type { SshTarget } from "./ssh-options.ts";

export type DockerAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "ssh"; readonly target: SshTarget; readonly dialTimeoutSeconds: number | undefined };

/**
 * Reads a Docker host as the CLI writes it: `unix:///path` or `ssh://[user@]address[:port]`.
 * @throws Error for any other form, with what to write instead
 */
export function parseDockerHost(host: string, sshOptions: readonly string[] = []): DockerAddress {
  if (host.startsWith("unix://")) {
    const path = host.slice("unix://".length);
    if (!path.startsWith("/")) throw badHost(host, "the path after unix:// must be absolute");
    return { kind: "unix", path };
  }
  if (!host.startsWith("ssh://")) throw badHost(host, "only unix:// and ssh:// are known here");
  if (!URL.canParse(host)) throw badHost(host, "it cannot be read as a URL");
  const url = new URL(host);
  if (url.hostname === "") throw badHost(host, "the address is missing");
  if (url.password !== "") throw badHost(host, "a password is never used; load a key into the SSH agent");
  if (url.pathname !== "" && url.pathname !== "/")
    throw badHost(host, "a path after the address has no meaning");
  const pinned = readPinnedArguments(sshOptions);
  return {
    kind: "ssh",
    target: {
      address: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 22 : Number(url.port),
      user: url.username === "" ? currentUser() : decodeURIComponent(url.username),
      ...(pinned === undefined ? { extraArguments: sshOptions } : { hostKey: pinned.hostKey }),
    },
    dialTimeoutSeconds: pinned?.timeoutSeconds,
  };
}

function currentUser(): string {
  return process.env["USER"] ?? process.env["LOGNAME"] ?? "root";
}

function badHost(host: string, why: string): Error {
  return new Error(
    `Docker host ${JSON.stringify(host)}: ${why}; write unix:///path or ssh://user@address:port`,
  );
}
