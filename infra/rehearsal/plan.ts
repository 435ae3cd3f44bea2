import { RehearsalError } from "./trouble.ts";

/** What a world needs to know of a stack's host. */
export interface HostSpec {
  readonly name: string;
  /** Tailnet address, production's own. */
  readonly address: string;
  readonly ssh: { readonly user: string; readonly port: number };
  /** Folder on it that the stack writes in. */
  readonly root: string;
}

export interface StackSpec {
  readonly hosts: readonly HostSpec[];
  /** Tailnet addresses that the stack's firewall lets in beside its hosts. @default none */
  readonly operators?: readonly string[];
  /** Docker network that Kamal would have made on each host; undefined where the stack makes its own. */
  readonly externalNetwork: string | undefined;
  /** True where the originals are pulled, through a mirror with one leg outside. */
  readonly registry: boolean;
}

/** One machine of a world: a container outside, a tailnet address inside. */
export interface Machine {
  /** `dal-01`, or `controller`. */
  readonly name: string;
  readonly container: string;
  readonly tailnet: string;
  /** Address on the internal network that carries the VXLAN. */
  readonly underlay: string;
}

export interface HostMachine extends Machine {
  readonly ssh: { readonly user: string; readonly port: number };
  /** Folder on it that the stack writes in. */
  readonly root: string;
  /** Volume of /var/lib/docker. */
  readonly volume: string;
}

export interface WorldPlan {
  readonly world: string;
  readonly network: string;
  readonly subnet: string;
  readonly controller: Machine;
  /** Volumes of the controller by their place in it. */
  readonly volumes: Readonly<Record<string, string>>;
  readonly hosts: readonly HostMachine[];
  readonly externalNetwork: string | undefined;
  /** Pull-through mirror, started only where a registry is reachable. */
  readonly registry:
    { readonly container: string; readonly volume: string; readonly underlay: string } | undefined;
}

/** First tailnet addresses that the operator's seat may have; the first that no host owns is taken. */
const OPERATOR_ADDRESSES = ["100.64.0.9", "100.64.0.10", "100.127.255.9"];
const FIRST_HOST = 10;

/**
 * Names and addresses of a world. Pure: the same stack in the same world gives the same plan, so that `up` finds what
 * an earlier `up` made.
 * @param third third number of the world's 10.213.x.0/24, which only has to be free on the machine outside
 * @throws {RehearsalError} when the name or the number of hosts cannot be used
 */
export function planWorld(world: string, stack: StackSpec, third: number): WorldPlan {
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(world)) {
    throw new RehearsalError(
      `"${world}" cannot name a world`,
      "allowed: lower-case letters, digits and hyphens, at most 31 characters, beginning with a letter or digit",
      "choose another with --world NAME",
    );
  }
  if (stack.hosts.length > 200) {
    throw new RehearsalError(
      `${stack.hosts.length} hosts do not fit into one world`,
      "a world's internal network is a /24; 200 hosts is the most",
      "rehearse a stack file with fewer hosts",
    );
  }
  const prefix = `heatwave-${world}`;
  const taken = new Set(stack.hosts.map((host) => host.address));
  // Who sits at the controller is one of the stack's operators, where it names any: its firewall lets them in alone.
  const seats = [...(stack.operators ?? []), ...OPERATOR_ADDRESSES];
  const operator = seats.find((address) => !taken.has(address)) ?? "100.127.255.10";
  const underlay = (last: number) => `10.213.${third}.${last}`;
  return {
    world,
    network: prefix,
    subnet: `10.213.${third}.0/24`,
    controller: {
      name: "controller",
      container: `${prefix}-controller`,
      tailnet: operator,
      underlay: underlay(2),
    },
    volumes: {
      "/etc/heatwave": `${prefix}-identity`,
      "/var/lib/heatwave-state": `${prefix}-state`,
      "/heatwave": `${prefix}-checkout`,
    },
    hosts: stack.hosts.map((host, index) => ({
      name: host.name,
      container: `${prefix}-${host.name}`,
      tailnet: host.address,
      underlay: underlay(FIRST_HOST + index),
      ssh: host.ssh,
      root: host.root,
      volume: `${prefix}-${host.name}-docker`,
    })),
    externalNetwork: stack.externalNetwork,
    registry: stack.registry
      ? { container: `${prefix}-registry`, volume: `${prefix}-registry`, underlay: underlay(3) }
      : undefined,
  };
}

/** The machine of a stack's host, by the host's name in the stack file. */
export function hostOf(plan: WorldPlan, hostName: string): HostMachine {
  const host = plan.hosts.find((candidate) => candidate.name === hostName);
  if (host === undefined) throw new Error(`no host ${hostName} in the plan`);
  return host;
}

/** The file that a machine's init reads: plain assignments, every value quoted. */
export function machineEnvironment(
  machine: Machine,
  plan: WorldPlan,
  host?: Pick<HostMachine, "ssh" | "root">,
): string {
  const peers = [plan.controller, ...plan.hosts]
    .map((peer) => peer.underlay)
    .filter((address) => address !== machine.underlay);
  const values: Record<string, string> = {
    WORLD: plan.world,
    MACHINE: machine.name,
    TAILNET_ADDRESS: machine.tailnet,
    UNDERLAY_ADDRESS: machine.underlay,
    UNDERLAY_PEERS: peers.join(" "),
    HAIRPIN_BLOCK: host === undefined ? "no" : "yes",
    REGISTRY_MIRROR: plan.registry === undefined ? "" : `http://${plan.registry.underlay}:5000`,
    ...(host === undefined
      ? {}
      : { SSH_USER: host.ssh.user, SSH_PORT: String(host.ssh.port), STACK_ROOT: host.root }),
  };
  return Object.entries(values)
    .map(([key, value]) => `${key}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join("");
}

/** `ssh_config` of the controller, so that a hand at the keyboard can type `ssh dal-01`. */
export function sshConfig(plan: WorldPlan): string {
  return plan.hosts
    .map(
      (host) =>
        `Host ${host.name}\n  HostName ${host.tailnet}\n  User ${host.ssh.user}\n  Port ${host.ssh.port}\n`,
    )
    .join("");
}

/** `known_hosts` of the controller. @param keys public host key by host name */
export function knownHosts(plan: WorldPlan, keys: Readonly<Record<string, string>>): string {
  return plan.hosts
    .map((host) => {
      const name = host.ssh.port === 22 ? host.tailnet : `[${host.tailnet}]:${host.ssh.port}`;
      return `${name} ${keys[host.name] ?? ""}\n`;
    })
    .join("");
}

/**
 * A Docker host's capabilities without `--privileged`. Some machines lack SYS_RESOURCE themselves: there "all" is only
 * to be had without it.
 */
export function hostRights(sysResource: boolean): readonly string[] {
  return [
    ...["--cap-add", "ALL", ...(sysResource ? [] : ["--cap-drop", "SYS_RESOURCE"])],
    ...["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"],
    ...["--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rwm"],
    ...["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"],
  ];
}

/** What every host of a world is made from. */
export interface HostMaterial {
  readonly image: string;
  /** `hostRights` of this machine. */
  readonly rights: readonly string[];
  /** Volume with the layers of the world's images; undefined where they are pulled. */
  readonly seed: string | undefined;
  /** Size of the disk of its own that a host gets when it is made; undefined for none. */
  readonly disk?: string | undefined;
}

/** Arguments of `docker create` for a host. */
export function hostContainer(machine: HostMachine, plan: WorldPlan, material: HostMaterial): string[] {
  const { image, rights, seed } = material;
  return [
    ...common(machine, plan),
    ...rights,
    ...["--volume", `${machine.volume}:/var/lib/docker`],
    ...(seed === undefined ? [] : ["--volume", `${seed}:/var/lib/heatwave-seed:ro`]),
    // As on a real host: emptied by a reboot, so that no pid file outlives its process.
    ...["--tmpfs", "/run:exec,mode=755"],
    image,
  ];
}

/**
 * Arguments of `docker create` for the controller: rights for its own interface, and nothing of the machine outside.
 * @param modules volume with the production packages
 */
export function controllerContainer(plan: WorldPlan, image: string, modules: string): string[] {
  return [
    ...common(plan.controller, plan),
    ...["--cap-add", "NET_ADMIN"],
    ...Object.entries(plan.volumes).flatMap(([path, volume]) => ["--volume", `${volume}:${path}`]),
    ...["--volume", `${modules}:/heatwave/node_modules:ro`],
    ...["--tmpfs", "/run:mode=755"],
    image,
  ];
}

function common(machine: Machine, plan: WorldPlan): string[] {
  return [
    ...["--name", machine.container, "--hostname", machine.name, "--init"],
    ...["--network", plan.network, "--ip", machine.underlay],
  ];
}
