/**
 * What every stack of heatwave has to keep, as plain functions: the Pulumi CLI's analyzer runs them
 * (`pulumi preview --policy-pack infra/policy`), and so do our tests, over the resources of the real program.
 */

export type Properties = Readonly<Record<string, unknown>>;

/** A resource as a rule sees it. */
export interface Declared {
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  readonly inputs: Properties;
  readonly protect: boolean;
  /** Undefined where it cannot be seen: Pulumi's analyzers are not told. */
  readonly retainOnDelete: boolean | undefined;
}

export interface Rule {
  /** Lower case with hyphens, as the CLI prints it. */
  readonly name: string;
  readonly description: string;
  /** Messages, each with what is wrong and what to do; none where the resource keeps the rule. */
  readonly check: (resource: Declared) => readonly string[];
}

const CONTAINER = "docker:index/container:Container";
const IMAGE = "docker:index/remoteImage:RemoteImage";
const VOLUME = "docker:index/volume:Volume";
const DOCKER = "pulumi:providers:docker";

const PINNED = /^[^@\s]+:[^@\s]+@sha256:[0-9a-f]{64}$/;

export const pinnedDigests: Rule = {
  name: "pinned-digests",
  description:
    "Images are pinned by tag and index digest, so that neither a moved tag nor a rebuilt image changes what runs.",
  check: ({ type, inputs }) => {
    const key = type === CONTAINER ? "image" : type === IMAGE ? "name" : undefined;
    if (key === undefined || PINNED.test(text(inputs[key]))) return [];
    return [
      says(
        `${key} is ${shown(inputs[key])}`,
        "name:tag@sha256:<64 hexadecimal digits>",
        "copy the digest that `docker buildx imagetools inspect <name:tag>` prints into heatwave:images",
      ),
    ];
  },
};

export const protectedData: Rule = {
  name: "protected-data",
  description:
    "A data volume is protected and retained on delete: it is never deleted or replaced by accident.",
  check: ({ type, protect, retainOnDelete, inputs }) => {
    if (type !== VOLUME) return [];
    return [
      ...(protect
        ? []
        : [
            says(
              `the volume ${shown(inputs["name"])} is not protected`,
              "protect: true",
              "leave `protect` of its resource as components/postgres has it; to remove a site, retire it",
            ),
          ]),
      ...(retainOnDelete === false
        ? [
            says(
              `the volume ${shown(inputs["name"])} would be deleted with its resource`,
              "retainOnDelete: true",
              "leave `retainOnDelete` of its resource as components/postgres has it",
            ),
          ]
        : []),
    ];
  },
};

const COMMAND_TYPES = ["command:remote:Command", "command:remote:CopyToRemote"];
const KEY = /^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/]{40,}={0,3}$/;

export const pinnedHostKeys: Rule = {
  name: "pinned-host-keys",
  description: "Every SSH connection accepts the one host key of the stack file, and no other.",
  check: ({ type, inputs }) => {
    if (COMMAND_TYPES.includes(type)) {
      // The provider marks it as a whole: a preview that was printed does not show it.
      if (inputs["connection"] === "[secret]") return [];
      const { hostKey } = mapping(inputs["connection"]);
      return KEY.test(text(hostKey)) ? [] : [unpinned("connection.hostKey", hostKey)];
    }
    if (type !== DOCKER || !text(inputs["host"]).startsWith("ssh://")) return [];
    const options = sshOptions(inputs["sshOpts"]);
    const [known] = options.filter((option) => option.startsWith("KnownHostsCommand="));
    const key = known?.replace("KnownHostsCommand=/bin/echo %H ", "");
    if (!options.includes("StrictHostKeyChecking=yes"))
      return [unpinned("sshOpts", "no StrictHostKeyChecking=yes")];
    if (["UserKnownHostsFile", "GlobalKnownHostsFile"].some((name) => !options.includes(`${name}=/dev/null`)))
      return [unpinned("sshOpts", "a known-hosts file of the operator's counts too")];
    return KEY.test(key ?? "") ? [] : [unpinned("sshOpts: KnownHostsCommand", key)];
  },
};

function unpinned(where: string, value: unknown): string {
  return says(
    `${where} is ${shown(value)}`,
    "the type and the base64 of one public host key",
    "copy /etc/ssh/ssh_host_ed25519_key.pub of the host, without its comment, into heatwave:hosts.<host>.ssh.hostKey",
  );
}

/** What follows each `-o`. The provider keeps a list as JSON text. */
function sshOptions(value: unknown): readonly string[] {
  const parsed = typeof value === "string" ? parsedJson(value) : value;
  return list(parsed).map(text);
}

/** 100.64.0.0/10, from which Tailscale gives addresses (https://tailscale.com/kb/1015/100.x-addresses). */
function isTailnet(address: string): boolean {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return false;
  const [first = 0, second = 0] = parts;
  return first === 100 && second >= 64 && second < 128;
}

export const tailnetPorts: Rule = {
  name: "tailnet-ports",
  description:
    "Ports are published on the host's tailnet address alone: Docker's own rules would let everybody else in.",
  check: ({ type, inputs }) => {
    if (type !== CONTAINER) return [];
    const fix = "publish it on heatwave:hosts.<host>.address, what `tailscale ip -4` prints there";
    const ports = list(inputs["ports"]).map(mapping);
    return [
      ...ports.flatMap((port) =>
        isTailnet(text(port["ip"]))
          ? []
          : [
              says(
                `port ${shown(port["external"] ?? port["internal"])} is published on ${shown(port["ip"] ?? "every address")}`,
                "a tailnet IPv4 address in 100.64.0.0/10",
                fix,
              ),
            ],
      ),
      ...(inputs["publishAllPorts"] === true
        ? [says("publishAllPorts is true", "ports that are named, each on a tailnet address", fix)]
        : []),
      ...(text(inputs["networkMode"]) === "host"
        ? [
            says(
              'networkMode is "host", so that every port it opens is open on every address',
              "the stack's Docker network",
              "name heatwave:network.name, and publish single ports",
            ),
          ]
        : []),
    ];
  },
};

/** Below it a stop is a kill for anything that writes, seconds. */
const LEAST_GRACE = 10;

export const stopGraces: Rule = {
  name: "stop-graces",
  description: "A container has a stop signal, a stop time-out, and as long a grace when it is destroyed.",
  check: ({ type, inputs }) => {
    if (type !== CONTAINER) return [];
    const { stopSignal, stopTimeout, destroyGraceSeconds } = inputs;
    const fix = "create it by `createContainer` (components/docker-host/container.ts), which asks for both";
    return [
      ...(/^SIG[A-Z]+$/.test(text(stopSignal)) && stopSignal !== "SIGKILL"
        ? []
        : [
            says(
              `stopSignal is ${shown(stopSignal)}`,
              "a signal that the program ends cleanly on, e.g. SIGTERM",
              fix,
            ),
          ]),
      ...(typeof stopTimeout === "number" && stopTimeout >= LEAST_GRACE
        ? []
        : [says(`stopTimeout is ${shown(stopTimeout)} s`, `${LEAST_GRACE} s or more`, fix)]),
      ...(destroyGraceSeconds === stopTimeout
        ? []
        : [
            says(
              `destroyGraceSeconds is ${shown(destroyGraceSeconds)}, so a replacement kills after another time than a stop`,
              `stopTimeout's own ${shown(stopTimeout)}`,
              fix,
            ),
          ]),
    ];
  },
};

export const restartPolicy: Rule = {
  name: "restart-policy",
  description:
    "Containers restart always: `unless-stopped` stays down after a killed daemon (measured), and starting is gated by the grant.",
  check: ({ type, inputs }) =>
    type !== CONTAINER || inputs["restart"] === "always"
      ? []
      : [
          says(
            `restart is ${shown(inputs["restart"])}`,
            '"always"',
            "create it by `createContainer` (components/docker-host/container.ts)",
          ),
        ],
};

export const logRotation: Rule = {
  name: "log-rotation",
  description: "A container's log is rotated by Docker, so that it never fills the host's disk.",
  check: ({ type, inputs }) => {
    if (type !== CONTAINER) return [];
    const options = mapping(inputs["logOpts"]);
    const isRotated =
      /^[1-9]\d*[kmg]$/.test(text(options["max-size"])) && /^[1-9]\d*$/.test(text(options["max-file"]));
    const driver = text(inputs["logDriver"]);
    if ((driver === "json-file" || driver === "local") && isRotated) return [];
    return [
      says(
        `logDriver is ${shown(inputs["logDriver"])} with logOpts ${shown(inputs["logOpts"])}`,
        'json-file or local, with "max-size" and "max-file"',
        "create it by `createContainer` (components/docker-host/container.ts)",
      ),
    ];
  },
};

export const RULES: readonly Rule[] = [
  pinnedDigests,
  protectedData,
  pinnedHostKeys,
  tailnetPorts,
  stopGraces,
  restartPolicy,
  logRotation,
];

/** One resource that breaks one rule. */
export interface Violation {
  readonly rule: string;
  readonly resource: string;
  readonly message: string;
}

/** Everything that a stack's resources break. */
export function violations(resources: readonly Declared[]): readonly Violation[] {
  return resources.flatMap((resource) =>
    RULES.flatMap((rule) =>
      rule.check(resource).map((message) => ({ rule: rule.name, resource: resource.name, message })),
    ),
  );
}

function says(value: string, allowed: string, fix: string): string {
  return `${value}\n  allowed: ${allowed}\n  fix: ${fix}`;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const mapping = (value: unknown): Properties =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Properties) : {};
const shown = (value: unknown): string =>
  value === undefined || value === "" ? "not set" : JSON.stringify(value);

function parsedJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
