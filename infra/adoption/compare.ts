import type { StackConfig } from "../config/schema.ts";
import type { Box, Topology } from "../topology/model.ts";
import type { ContainerFound, HostFound } from "./found.ts";

/** What runs under the declared names, beside what the stack file wants of it. Pure. */

export type Kind = "postgres" | "pgbouncer" | "pg-health" | "haproxy";

/** A declared container, as far as what was made by hand can be held against it. */
export interface Wanted {
  readonly kind: Kind;
  /** Host's name. */
  readonly host: string;
  /** Tailnet address of the host. */
  readonly address: string;
  readonly container: string;
  readonly image: string;
  readonly ports: readonly number[];
  readonly network: string;
  /** Seconds that it gets to stop. */
  readonly stopSeconds: number;
  /** Its data volume. */
  readonly volume: string | undefined;
}

/** Something that the container has not, or has otherwise; its conversion brings it. */
export interface Lack {
  readonly what: string;
  readonly has: string;
  readonly wants: string;
  /** What that costs as long as it is so. */
  readonly because: string;
}

export interface Adoptable {
  readonly wanted: Wanted;
  /** Undefined where nothing of that name is there. */
  readonly found: ContainerFound | undefined;
  readonly lacks: readonly Lack[];
}

export interface Adoption {
  readonly containers: readonly Adoptable[];
  /** Why it cannot be adopted as it is; empty where it can. */
  readonly objections: readonly string[];
}

/** Seconds that Docker gives a container by default. */
const DOCKER_STOP_SECONDS = 10;

/** Where the image of PostgreSQL 18 has its volume. */
const DATA_PLACE = "/var/lib/postgresql";

/** Every container that the stack declares, host by host. */
export function wantedContainers(
  topology: Topology,
  { postgres }: Pick<StackConfig, "postgres">,
): readonly Wanted[] {
  const network = topology.network.name;
  const of = (kind: Kind, box: Box, stopSeconds: number, volume?: string): Wanted => ({
    kind,
    host: box.host.name,
    address: box.host.address,
    container: box.container,
    image: box.image,
    ports: [box.port],
    network,
    stopSeconds,
    volume,
  });
  return [
    ...topology.sites.flatMap((site) => [
      of("postgres", site.postgres, postgres.stopSeconds, site.volume),
      of("pgbouncer", site.pgbouncer, DOCKER_STOP_SECONDS),
      of("pg-health", site.pgHealth, DOCKER_STOP_SECONDS),
    ]),
    ...topology.routers.map((router): Wanted => ({
      kind: "haproxy",
      host: router.host.name,
      address: router.host.address,
      container: router.container,
      image: router.image,
      ports: [...topology.listeners.map(({ port }) => port), router.statsPort],
      network,
      stopSeconds: DOCKER_STOP_SECONDS,
      volume: undefined,
    })),
  ];
}

export function compare(
  topology: Topology,
  config: Pick<StackConfig, "postgres">,
  hosts: readonly HostFound[],
): Adoption {
  const containers = wantedContainers(topology, config).map((wanted): Adoptable => {
    const found = hosts
      .find(({ host }) => host === wanted.host)
      ?.containers.find(({ name }) => name === wanted.container);
    return { wanted, found, lacks: found === undefined ? [] : lacksOf(wanted, found) };
  });
  return {
    containers,
    objections: [...hostObjections(topology, hosts), ...containers.flatMap(objectionsTo)],
  };
}

function hostObjections(topology: Topology, hosts: readonly HostFound[]): readonly string[] {
  return hosts.flatMap(({ host, unreachable, volumes, network }) => {
    if (unreachable !== null) return [`${host} cannot be asked: ${unreachable}`];
    return [
      ...(network
        ? []
        : [
            `${host} has no Docker network ${topology.network.name}: name the one that its containers are on in heatwave:network`,
          ]),
      ...topology.sites
        .filter((site) => site.host.name === host && !volumes.includes(site.volume))
        .map(
          (site) =>
            `${host} has no volume ${site.volume}: name the one that holds the data as volume of ${site.name}`,
        ),
    ];
  });
}

function objectionsTo({ wanted, found }: Adoptable): readonly string[] {
  const { host, container, volume } = wanted;
  if (found === undefined)
    return [
      `${host} has no container ${container}: correct its name in the stack file, to what \`docker ps -a\` shows there`,
    ];
  if (volume === undefined) return [];
  const data = found.mounts.find(
    ({ target }) => target === DATA_PLACE || target.startsWith(`${DATA_PLACE}/`),
  );
  if (data === undefined)
    return [`${container} on ${host} has nothing mounted at ${DATA_PLACE}: its data would go with it`];
  if (data.type !== "volume")
    return [
      `the data of ${container} on ${host} is in ${data.source}, a folder of the host: only a volume can be adopted`,
    ];
  return data.source === volume
    ? []
    : [`the data of ${container} on ${host} is in volume ${data.source}, the stack file says ${volume}`];
}

/** What a container lacks, the most serious first. */
export function lacksOf(wanted: Wanted, found: ContainerFound): readonly Lack[] {
  return [
    ...exposure(wanted, found),
    ...secrets(found),
    ...survival(wanted, found),
    ...identity(wanted, found),
    ...settings(wanted, found),
  ];
}

function lack(what: string, has: string, wants: string, because: string): Lack {
  return { what, has, wants, because };
}

function exposure({ address, ports }: Wanted, found: ContainerFound): readonly Lack[] {
  const elsewhere = found.ports.filter((published) => published.address !== address);
  const missing = ports.filter(
    (port) => !found.ports.some((one) => one.port === port && one.address === address),
  );
  return [
    ...elsewhere.map(({ address: at, port }) =>
      lack(
        `port ${port}`,
        `on ${at === "" || at === "0.0.0.0" || at === "::" ? "every address" : at}`,
        `on ${address} alone`,
        "whoever reaches the host reaches it",
      ),
    ),
    ...missing
      .filter((port) => !elsewhere.some((one) => one.port === port))
      .map((port) => lack(`port ${port}`, "not published", `on ${address}`, "no other host reaches it")),
  ];
}

const SECRET = /PASS|SECRET|TOKEN|PRIVATE|CREDENTIAL|(^|_)KEY($|_)/i;

function secrets({ environment }: ContainerFound): readonly Lack[] {
  const named = environment.filter((name) => SECRET.test(name) && !name.endsWith("_FILE"));
  if (named.length === 0) return [];
  return [
    lack(
      "secrets",
      `${named.join(", ")} in the environment`,
      "files of mode 0600",
      "`docker inspect` shows them to everybody in the group docker",
    ),
  ];
}

function survival(wanted: Wanted, found: ContainerFound): readonly Lack[] {
  const stop = found.stopSeconds ?? DOCKER_STOP_SECONDS;
  const rotates = found.logMaxSize !== null || found.logDriver === "local";
  const onDisk = ["json-file", "local", ""].includes(found.logDriver);
  return [
    ...(found.state === "running" ? [] : [lack("state", found.state, "running", "it does not serve")]),
    ...(found.restart === "always"
      ? []
      : [
          lack(
            "restart",
            found.restart || "no",
            "always",
            found.restart === "unless-stopped"
              ? "it stays down after a killed daemon, and after `docker kill -s`"
              : "it stays down after a reboot",
          ),
        ]),
    ...(wanted.kind === "postgres" && found.stopSignal !== "SIGINT"
      ? [
          lack(
            "stop signal",
            found.stopSignal || "SIGTERM",
            "SIGINT",
            "a smart shutdown waits for every session, and then it is killed",
          ),
        ]
      : []),
    ...(stop < wanted.stopSeconds
      ? [lack("time to stop", `${stop} s`, `${wanted.stopSeconds} s`, "it is killed before it is done")]
      : []),
    ...(found.init ? [] : [lack("init", "none", "a reaping one", "dead children stay")]),
    ...(onDisk && !rotates ? [lack("log", "without a limit", "20 MB, five times", "it fills the disk")] : []),
  ];
}

function identity(wanted: Wanted, found: ContainerFound): readonly Lack[] {
  return [
    ...(found.image === wanted.image
      ? []
      : [
          lack(
            "image",
            found.image,
            wanted.image,
            found.image.includes("@sha256:") ? "it is another one" : "a tag may mean another image tomorrow",
          ),
        ]),
    ...(found.networks.includes(wanted.network)
      ? []
      : [
          lack(
            "network",
            found.networks.join(", ") || "none",
            wanted.network,
            "the containers beside it do not find it by name",
          ),
        ]),
  ];
}

function settings({ kind }: Wanted, found: ContainerFound): readonly Lack[] {
  if (kind !== "postgres" || found.settings.length === 0) return [];
  return [
    lack(
      "settings",
      `${found.settings.join(", ")} on the command line`,
      "heatwave:postgres.parameters",
      "they win over every file, and a change of one replaces the container",
    ),
  ];
}

/** By host, then by container: what `heatwave:adopted` says. */
export function adoptedIds(adoption: Adoption): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const ids: Record<string, Record<string, string>> = {};
  for (const { wanted, found } of adoption.containers)
    if (found !== undefined) ids[wanted.host] = { ...ids[wanted.host], [wanted.container]: found.id };
  return ids;
}
