/** What runs on a host under a declared name, as `docker inspect` tells it. No value that could be a secret leaves the host. */

export interface ContainerFound {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** running, exited, paused, … */
  readonly state: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** The reference it was made from. */
  readonly image: string;
  /** Restart policy; "" for none. */
  readonly restart: string;
  readonly init: boolean;
  readonly stopSignal: string;
  /** Seconds; null: Docker's 10. */
  readonly stopSeconds: number | null;
  readonly logDriver: string;
  /** `max-size` of its log; null for none. */
  readonly logMaxSize: string | null;
  readonly ports: readonly PublishedPort[];
  readonly networks: readonly string[];
  readonly mounts: readonly MountFound[];
  /** Names alone: the values hold secrets. */
  readonly environment: readonly string[];
  /** Names of what its command line sets by `name=value`. */
  readonly settings: readonly string[];
  /** Kamal's label, e.g. heatwave-haproxy; "" for none. */
  readonly service: string;
}

export interface PublishedPort {
  /** Number inside the container. */
  readonly inside: number;
  /** Address on the host; "" for all. */
  readonly address: string;
  readonly port: number;
}

export interface MountFound {
  readonly type: string;
  /** A volume's name, or a folder. */
  readonly source: string;
  readonly target: string;
}

export interface HostFound {
  readonly host: string;
  /** Why nothing is known of it. */
  readonly unreachable: string | null;
  readonly containers: readonly ContainerFound[];
  /** Declared volumes that are there. */
  readonly volumes: readonly string[];
  /** Whether the declared network is there. */
  readonly network: boolean;
}

/** @param args seconds for each question, network, number of volumes, volumes, containers */
export const LOOK_SCRIPT = `limit=$1 network=$2 volumes=$3
shift 3
timeout "$limit" docker version >/dev/null || exit 1
timeout "$limit" docker network inspect "$network" >/dev/null 2>&1 && echo network
while [ "$volumes" -gt 0 ]; do
  timeout "$limit" docker volume inspect "$1" >/dev/null 2>&1 && echo "volume $1"
  shift
  volumes=$((volumes - 1))
done
for name; do
  timeout "$limit" docker inspect --type container --format '${format()}' "$name" 2>/dev/null || true
done`;

/** A list in a template cannot end without a comma: null ends it. */
function format(): string {
  const list = (over: string, item: string): string => `[{{range ${over}}}${item},{{end}}null]`;
  const nameOf = '{{json (index (split . "=") 0)}}';
  const fields = {
    id: "{{json .ID}}",
    name: "{{json .Name}}",
    state: "{{json .State.Status}}",
    startedAt: "{{json .State.StartedAt}}",
    image: "{{json .Config.Image}}",
    restart: "{{json .HostConfig.RestartPolicy.Name}}",
    init: "{{if .HostConfig.Init}}true{{else}}false{{end}}",
    stopSignal: "{{json .Config.StopSignal}}",
    stopSeconds: "{{json .Config.StopTimeout}}",
    logDriver: "{{json .HostConfig.LogConfig.Type}}",
    logMaxSize: '{{with index .HostConfig.LogConfig.Config "max-size"}}{{json .}}{{else}}null{{end}}',
    bindings: "{{json .HostConfig.PortBindings}}",
    networks: "[{{range $name, $_ := .NetworkSettings.Networks}}{{json $name}},{{end}}null]",
    mounts: "{{json .Mounts}}",
    environment: list(".Config.Env", nameOf),
    settings: `[{{range .Config.Cmd}}{{if gt (len (split . "=")) 1}}${nameOf},{{end}}{{end}}null]`,
    service: '{{with index .Config.Labels "service"}}{{json .}}{{else}}""{{end}}',
  };
  return `{${Object.entries(fields)
    .map(([name, value]) => `"${name}":${value}`)
    .join(",")}}`;
}

interface Printed extends Omit<ContainerFound, "ports" | "mounts" | "networks" | "environment" | "settings"> {
  readonly bindings: Readonly<
    Record<string, readonly { HostIp?: string; HostPort?: string }[] | null>
  > | null;
  readonly mounts: readonly { Type: string; Name?: string; Source?: string; Destination: string }[] | null;
  readonly networks: readonly (string | null)[];
  readonly environment: readonly (string | null)[];
  readonly settings: readonly (string | null)[];
}

/** Reads what the look printed. Pure. */
export function readFound(host: string, printed: string): HostFound {
  const lines = printed.split("\n");
  return {
    host,
    unreachable: null,
    containers: lines.filter((line) => line.startsWith("{")).map(readContainer),
    volumes: lines.flatMap((line) => /^volume (\S+)$/.exec(line)?.[1] ?? []),
    network: lines.includes("network"),
  };
}

function readContainer(line: string): ContainerFound {
  const { bindings, mounts, networks, environment, settings, ...rest } = JSON.parse(line) as Printed;
  const words = (list: readonly (string | null)[]): string[] => list.filter((word) => word !== null);
  return {
    ...rest,
    // Docker writes names with a slash before them, and no policy as "no".
    name: rest.name.replace(/^\//, ""),
    restart: rest.restart === "no" ? "" : rest.restart,
    ports: Object.entries(bindings ?? {}).flatMap(([inside, published]) =>
      (published ?? []).map(({ HostIp = "", HostPort = "" }) => ({
        inside: Number.parseInt(inside, 10),
        address: HostIp,
        port: Number(HostPort),
      })),
    ),
    networks: words(networks),
    mounts: (mounts ?? []).map(({ Type, Name, Source, Destination }) => ({
      type: Type,
      source: Type === "volume" ? (Name ?? "") : (Source ?? ""),
      target: Destination,
    })),
    environment: words(environment),
    settings: words(settings),
  };
}
