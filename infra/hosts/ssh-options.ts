import { createHash } from "node:crypto";

/** Where a host's sshd answers and how it proves who it is. */
export interface SshTarget {
  /** IP address or name. */
  readonly address: string;
  /** @default 22 */
  readonly port?: number;
  readonly user: string;
  /** `<type> <base64>`, one public host key; the connection is refused when the host shows another. */
  readonly hostKey?: string;
  /** True accepts any host key when `hostKey` is absent. @default false: the operator's known_hosts decides. */
  readonly acceptAnyHostKey?: boolean;
  /** Path of the agent's socket. @default the environment's SSH_AUTH_SOCK */
  readonly agentSocket?: string;
  /** Further ssh arguments; they come first, so they win over the ones made here. */
  readonly extraArguments?: readonly string[];
}

const PINNED = /^\/bin\/echo %H (\S+ \S+)$/;

/** The arguments that pin one host key without a file of the operator's. */
export function pinnedHostKeyArguments(hostKey: string): readonly string[] {
  const [type, key] = splitHostKey(hostKey);
  return [
    ["StrictHostKeyChecking", "yes"],
    ["UserKnownHostsFile", "/dev/null"],
    ["GlobalKnownHostsFile", "/dev/null"],
    ["KnownHostsCommand", `/bin/echo %H ${type} ${key}`],
  ].flatMap(([name, value]) => ["-o", `${name ?? ""}=${value ?? ""}`]);
}

export interface ReadArguments {
  readonly hostKey: string;
  /** Of ConnectTimeout. */
  readonly timeoutSeconds: number | undefined;
}

/**
 * Reads arguments that do nothing but pin one host key (and perhaps limit the dialling), so that a connection
 * described by them and one described by a `hostKey` are the same connection. Undefined when they hold anything
 * else.
 */
export function readPinnedArguments(args: readonly string[]): ReadArguments | undefined {
  let hostKey: string | undefined;
  let timeoutSeconds: number | undefined;
  for (const [name, value] of optionPairs(args) ?? [["", ""]]) {
    switch (name.toLowerCase()) {
      case "stricthostkeychecking":
        if (value !== "yes") return undefined;
        break;
      case "userknownhostsfile":
      case "globalknownhostsfile":
        if (value !== "/dev/null" && value !== "none") return undefined;
        break;
      case "knownhostscommand":
        hostKey = PINNED.exec(value)?.[1];
        if (hostKey === undefined) return undefined;
        break;
      case "connecttimeout":
        if (!/^\d+$/.test(value)) return undefined;
        timeoutSeconds = Number(value);
        break;
      default:
        return undefined;
    }
  }
  return hostKey === undefined ? undefined : { hostKey, timeoutSeconds };
}

/** The `-o name=value` pairs; undefined when there is any other argument. */
function optionPairs(args: readonly string[]): readonly (readonly [string, string])[] | undefined {
  const pairs: (readonly [string, string])[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const text = arg === "-o" ? rest.shift() : arg.startsWith("-o") ? arg.slice(2) : undefined;
    if (text === undefined) return undefined;
    pairs.push(splitOnce(text));
  }
  return pairs;
}

function splitOnce(option: string): readonly [string, string] {
  const at = option.search(/[=\s]/);
  return at < 0 ? [option, ""] : [option.slice(0, at), option.slice(at + 1)];
}

/**
 * Type and base64 of a public key line; a comment is dropped.
 * @throws Error when the text is no public key line.
 */
export function splitHostKey(hostKey: string): readonly [string, string] {
  const [type, key] = hostKey.trim().split(/\s+/);
  if (type === undefined || key === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(key)) {
    throw new Error(
      `hostKey ${JSON.stringify(hostKey)} is no public key line: write "<type> <base64>" as in the host's /etc/ssh/ssh_host_ed25519_key.pub`,
    );
  }
  return [type, key];
}

/** `SHA256:…` as ssh prints it. */
export function fingerprint(hostKey: string): string {
  const [, key] = splitHostKey(hostKey);
  const digest = createHash("sha256").update(Buffer.from(key, "base64")).digest("base64");
  return `SHA256:${digest.replace(/=+$/, "")}`;
}

/** What the server may sign with for a key of this type; an RSA key signs with SHA-2 only. */
function hostKeyAlgorithms(type: string): string {
  return type === "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : type;
}

/** The arguments of the process that logs in and then serves every session of this connection. */
export function masterArguments(
  target: SshTarget,
  controlPath: string,
  dialTimeoutSeconds: number,
): readonly string[] {
  const trust =
    target.hostKey !== undefined
      ? [
          ...pinnedHostKeyArguments(target.hostKey),
          "-o",
          `HostKeyAlgorithms=${hostKeyAlgorithms(splitHostKey(target.hostKey)[0])}`,
        ]
      : target.acceptAnyHostKey === true
        ? [
            ...["-o", "StrictHostKeyChecking=no"],
            ...["-o", "UserKnownHostsFile=/dev/null"],
            ...["-o", "GlobalKnownHostsFile=/dev/null"],
          ]
        : [];
  // A described connection must not change with the operator's ssh_config; an undescribed one relies on it.
  const isolated = trust.length > 0 && (target.extraArguments ?? []).length === 0;
  return [
    ...(target.extraArguments ?? []),
    ...(isolated ? ["-F", "none"] : []),
    ...trust,
    ...option("ControlMaster", "yes"),
    ...option("ControlPath", controlPath),
    // The master leaves by itself when its owner was killed without a chance to close it.
    ...option("ControlPersist", "60"),
    ...option("ConnectTimeout", dialTimeoutSeconds > 0 ? String(dialTimeoutSeconds) : "none"),
    ...option("ServerAliveInterval", "5"),
    ...option("ServerAliveCountMax", "3"),
    ...option("BatchMode", "yes"),
    ...option("PreferredAuthentications", "publickey"),
    // The master passes on only what it would send itself; `masterEnvironment` leaves it nothing of its own.
    ...option("SendEnv", "*"),
    ...(isolated ? option("IdentityFile", "none") : []),
    ...(target.agentSocket === undefined ? [] : option("IdentityAgent", target.agentSocket)),
    ...option("LogLevel", "ERROR"),
    // No session of its own: it goes to the background as soon as it has logged in.
    ...["-f", "-N"],
    ...destination(target),
  ];
}

/** What ssh itself needs of the environment; with `SendEnv *` anything more would be offered to the host. */
export function masterEnvironment(environment: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const needed = ["PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"];
  return Object.fromEntries(
    needed.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
}

/** The arguments of one session over the master; without the master it fails at once instead of dialling. */
export function sessionArguments(
  target: SshTarget,
  controlPath: string,
  sendEnvironment: readonly string[],
): readonly string[] {
  return [
    ...["-F", "none"],
    ...option("ControlMaster", "no"),
    ...option("ControlPath", controlPath),
    ...option("ProxyCommand", "false"),
    ...option("BatchMode", "yes"),
    ...option("LogLevel", "ERROR"),
    ...sendEnvironment.flatMap((name) => option("SendEnv", name)),
    "-T",
    ...destination(target),
  ];
}

/** The arguments of a session with a subsystem of sshd, e.g. `sftp`. */
export function subsystemArguments(target: SshTarget, controlPath: string, name: string): readonly string[] {
  return ["-s", ...sessionArguments(target, controlPath, []), name];
}

/** The arguments of a command to the master itself: `check`, `exit`, `forward`, `cancel`. */
export function controlArguments(
  target: SshTarget,
  controlPath: string,
  command: string,
  more: readonly string[] = [],
): readonly string[] {
  return [
    "-F",
    "none",
    ...option("ControlPath", controlPath),
    "-O",
    command,
    ...more,
    ...destination(target),
  ];
}

function option(name: string, value: string): readonly string[] {
  return ["-o", `${name}=${value}`];
}

function destination(target: SshTarget): readonly string[] {
  return ["-p", String(target.port ?? 22), "-l", target.user, "--", target.address];
}

/** Quotes a word for any POSIX-like login shell. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A command line that runs a POSIX shell script with arguments, whatever the login shell is. */
export function posixCommand(script: string, ...args: readonly string[]): string {
  return `exec sh -c ${[script, "sh", ...args].map(shellQuote).join(" ")}`;
}
