import { fingerprint } from "./ssh-options.ts";
import type { SshTarget } from "./ssh-options.ts";

export type SshFailureKind =
  | "unreachable"
  | "host-key-changed"
  | "host-key-unknown"
  | "key-refused"
  | "connection-lost"
  | "timed-out"
  | "aborted"
  | "failed";

/** An SSH connection that could not be made or kept. The remote command's own failure is never one of these. */
export class SshError extends Error {
  readonly kind: SshFailureKind;
  constructor(kind: SshFailureKind, message: string) {
    super(message);
    this.name = "SshError";
    this.kind = kind;
  }
}

/** `user@address:port` for messages. */
export function describeTarget(target: SshTarget): string {
  const address = target.address.includes(":") ? `[${target.address}]` : target.address;
  return `${target.user}@${address}:${target.port ?? 22}`;
}

/** True when another attempt could succeed; a wrong key or a refused login stays wrong. */
export function isWorthRetrying(error: SshError): boolean {
  return error.kind === "unreachable" || error.kind === "connection-lost" || error.kind === "timed-out";
}

/** Turns what ssh printed while it dialled into one of the failures an operator can act on. */
export function dialError(target: SshTarget, printed: string): SshError {
  const where = describeTarget(target);
  const said = lastLines(printed);
  if (/HOST IDENTIFICATION HAS CHANGED|no matching host key type found/i.test(printed)) {
    return new SshError("host-key-changed", hostKeyChanged(target, printed));
  }
  if (/Host key verification failed|No .* host key is known/i.test(printed)) {
    return target.hostKey === undefined
      ? new SshError(
          "host-key-unknown",
          `ssh ${where}: the host's key is not known here and no hostKey is given; add hostKey to the connection`,
        )
      : new SshError("host-key-changed", hostKeyChanged(target, printed));
  }
  if (/Permission denied|Too many authentication failures|no mutual signature/i.test(printed)) {
    const agent = target.agentSocket ?? process.env["SSH_AUTH_SOCK"];
    const fix =
      agent === undefined || agent === ""
        ? "no SSH agent is running (SSH_AUTH_SOCK is not set): start one and load the key with ssh-add"
        : `load the key that the host knows for ${target.user} (ssh-add -l shows what the agent holds)`;
    return new SshError("key-refused", `ssh ${where}: the host accepts none of the agent's keys; ${fix}`);
  }
  if (
    /timed out|refused|No route|unreachable|Could not resolve|Connection (closed|reset)|banner/i.test(printed)
  ) {
    return new SshError("unreachable", `ssh ${where}: cannot be reached: ${said}`);
  }
  return new SshError("failed", `ssh ${where}: ${said === "" ? "ssh ended without a word" : said}`);
}

function hostKeyChanged(target: SshTarget, printed: string): string {
  const shown = /SHA256:[A-Za-z0-9+/]+/.exec(printed)?.[0];
  const offer = /Their offer: (\S+)/.exec(printed)?.[1];
  const found = shown ?? (offer === undefined ? "another key" : `only keys of type ${offer}`);
  const wanted = target.hostKey === undefined ? "the known one" : fingerprint(target.hostKey);
  return `ssh ${describeTarget(target)}: the host shows ${found} instead of ${wanted}; if the host was rebuilt, put its new public key in the stack file, otherwise somebody answers in its place`;
}

function lastLines(printed: string): string {
  return printed
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(mux_client|ControlSocket|Warning: Permanently)/.test(line))
    .slice(-2)
    .join(" ");
}

/**
 * What ssh prints when the session never began, so that the command certainly did not run: the master has gone or
 * the server takes no more sessions. A master that went after the request was sent leaves that open: undefined.
 */
export function sessionNeverBegan(printed: string): "master-gone" | "refused" | undefined {
  if (/Session open refused|session request failed/i.test(printed)) return "refused";
  if (/mux_client_hello_exchange/i.test(printed)) return "master-gone";
  if (/read from master failed|terminated unexpectedly/i.test(printed)) return undefined;
  return /Control socket connect|UNKNOWN port 65535/i.test(printed) ? "master-gone" : undefined;
}
