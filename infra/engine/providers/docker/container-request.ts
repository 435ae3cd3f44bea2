import type Dockerode from "dockerode";

import type { ValueMap } from "../../values.ts";
import { readFlag, readMap, readMaps, readNumber, readText, readTextMap, readTexts } from "../read-value.ts";
import { labelMap, mountsRequest, nonEmpty, volumesRequest } from "./container-mounts.ts";
import { parseDuration } from "./go-values.ts";

const MEBIBYTE = 1024 * 1024;

/** Fields of the daemon's API that the published types do not know yet. */
interface NewerHostConfig extends Dockerode.HostConfig {
  DeviceCgroupRules?: string[];
  CgroupnsMode?: "" | "private" | "host";
  MaskedPaths?: string[];
  ReadonlyPaths?: string[];
}

/**
 * The daemon's create request for a container's inputs. What is not written is left to the daemon, as the real
 * provider leaves it.
 * @throws Error that names the property when a value cannot be used
 */
export function containerRequest(inputs: ValueMap): Dockerode.ContainerCreateOptions {
  const volumes = volumesRequest(inputs);
  const ports = portsRequest(inputs);
  const stopTimeout = readNumber(inputs, "stopTimeout") ?? 0;
  return dropUndefined({
    name: readText(inputs, "name"),
    platform: nonEmpty(readText(inputs, "platform")),
    Image: readText(inputs, "image"),
    Hostname: readText(inputs, "hostname"),
    Domainname: readText(inputs, "domainname"),
    Tty: readFlag(inputs, "tty") ?? false,
    OpenStdin: readFlag(inputs, "stdinOpen") ?? false,
    StopSignal: nonEmpty(readText(inputs, "stopSignal")),
    StopTimeout: stopTimeout > 0 ? stopTimeout : undefined,
    Env: some(readTexts(inputs, "envs")),
    Cmd: some(readTexts(inputs, "command")),
    Entrypoint: some(readTexts(inputs, "entrypoints")),
    User: nonEmpty(readText(inputs, "user")),
    WorkingDir: nonEmpty(readText(inputs, "workingDir")),
    Labels: labelMap(readMaps(inputs, "labels")),
    ExposedPorts: ports.exposed,
    Volumes: Object.keys(volumes.anonymous).length > 0 ? volumes.anonymous : undefined,
    Healthcheck: healthcheckRequest(inputs),
    HostConfig: hostConfig(inputs, volumes.binds, volumes.from, ports.bindings),
  });
}

function hostConfig(
  inputs: ValueMap,
  binds: string[],
  volumesFrom: string[],
  portBindings: Dockerode.PortMap,
): NewerHostConfig {
  const capabilities = readMap(inputs, "capabilities");
  return dropUndefined({
    ...updatableResources(inputs),
    Privileged: readFlag(inputs, "privileged") ?? false,
    PublishAllPorts: readFlag(inputs, "publishAllPorts") ?? false,
    RestartPolicy: restartPolicy(inputs),
    Runtime: nonEmpty(readText(inputs, "runtime")),
    Mounts: mountsRequest(inputs),
    AutoRemove: readFlag(inputs, "rm") ?? false,
    ReadonlyRootfs: readFlag(inputs, "readOnly") ?? false,
    LogConfig: { Type: readText(inputs, "logDriver") ?? "", Config: readTextMap(inputs, "logOpts") ?? {} },
    Tmpfs: readTextMap(inputs, "tmpfs"),
    PortBindings: portBindings,
    ExtraHosts: some(
      readMaps(inputs, "hosts").map(
        (host) => `${readText(host, "host") ?? ""}:${readText(host, "ip") ?? ""}`,
      ),
    ),
    Binds: some(binds),
    VolumesFrom: some(volumesFrom),
    Ulimits: some(
      readMaps(inputs, "ulimits").map((limit) => ({
        Name: readText(limit, "name") ?? "",
        Soft: readNumber(limit, "soft") ?? 0,
        Hard: readNumber(limit, "hard") ?? 0,
      })),
    ),
    CapAdd: capabilities && readTexts(capabilities, "adds"),
    CapDrop: capabilities && readTexts(capabilities, "drops"),
    Devices: some(readMaps(inputs, "devices").map(deviceRequest)),
    DeviceRequests: some(
      readMaps(inputs, "deviceRequests").map((request) => ({
        Driver: readText(request, "driver") ?? "",
        Count: readNumber(request, "count") ?? 0,
        DeviceIDs: readTexts(request, "deviceIds"),
        Capabilities: [readTexts(request, "capabilities")],
        Options: readTextMap(request, "options") ?? {},
      })),
    ),
    DeviceCgroupRules: some(readTexts(inputs, "deviceCgroupRules")),
    Dns: some(readTexts(inputs, "dns")),
    DnsOptions: some(readTexts(inputs, "dnsOpts")),
    DnsSearch: some(readTexts(inputs, "dnsSearches")),
    ...securityRequest(inputs),
    ShmSize: mebibytes(readNumber(inputs, "shmSize")),
    ...cpuRequest(inputs),
    NetworkMode: nonEmpty(readText(inputs, "networkMode")),
    UsernsMode: nonEmpty(readText(inputs, "usernsMode")),
    PidMode: nonEmpty(readText(inputs, "pidMode")),
    IpcMode: nonEmpty(readText(inputs, "ipcMode")),
    Sysctls: readTextMap(inputs, "sysctls"),
    GroupAdd: some(readTexts(inputs, "groupAdds")),
    CgroupnsMode: nonEmpty(readText(inputs, "cgroupnsMode")) as "private" | "host" | undefined,
    CgroupParent: nonEmpty(readText(inputs, "cgroupParent")),
    // Always sent: left out, the daemon's own setting would decide.
    Init: readFlag(inputs, "init") ?? false,
    StorageOpt: readTextMap(inputs, "storageOpts"),
  });
}

/** The limits that Docker changes on a running container; a create sends them too. */
export function updatableResources(inputs: ValueMap) {
  const swap = readNumber(inputs, "memorySwap") ?? 0;
  return dropUndefined({
    CpuShares: readNumber(inputs, "cpuShares"),
    CpusetCpus: readText(inputs, "cpuSet"),
    Memory: mebibytes(readNumber(inputs, "memory")),
    MemoryReservation: mebibytes(readNumber(inputs, "memoryReservation")),
    // -1 means unlimited and is no number of mebibytes.
    MemorySwap: swap === 0 ? undefined : swap > 0 ? swap * MEBIBYTE : swap,
    BlkioDeviceReadBps: rates(inputs, "deviceReadBps"),
    BlkioDeviceReadIOps: rates(inputs, "deviceReadIops"),
    BlkioDeviceWriteBps: rates(inputs, "deviceWriteBps"),
    BlkioDeviceWriteIOps: rates(inputs, "deviceWriteIops"),
  });
}

export function restartPolicy(inputs: ValueMap): Dockerode.HostRestartPolicy {
  return {
    Name: readText(inputs, "restart") ?? "no",
    MaximumRetryCount: readNumber(inputs, "maxRetryCount") ?? 0,
  };
}

function cpuRequest(inputs: ValueMap): Partial<Dockerode.HostConfig> {
  const cpus = readText(inputs, "cpus");
  // With both, the daemon would refuse; `cpus` wins as it does in the real provider.
  if (cpus !== undefined) return { NanoCpus: Math.round(Number(cpus) * 1e9) };
  return dropUndefined({
    CpuPeriod: readNumber(inputs, "cpuPeriod"),
    CpuQuota: readNumber(inputs, "cpuQuota"),
  });
}

/** `systempaths=unconfined` is the client's to carry out: the daemon knows it only as two empty lists. */
function securityRequest(inputs: ValueMap): Partial<NewerHostConfig> {
  const options = readTexts(inputs, "securityOpts");
  if (options.length === 0) return {};
  const sent = options.filter((option) => option !== "systempaths=unconfined");
  return {
    SecurityOpt: sent,
    ...(sent.length === options.length ? {} : { MaskedPaths: [], ReadonlyPaths: [] }),
  };
}

interface PortsRequest {
  readonly exposed: Record<string, object>;
  readonly bindings: Record<string, { HostIp: string; HostPort: string }[]>;
}

export function portsRequest(inputs: ValueMap): PortsRequest {
  const request: PortsRequest = { exposed: {}, bindings: {} };
  for (const port of readMaps(inputs, "ports")) {
    const key = `${readNumber(port, "internal") ?? 0}/${readText(port, "protocol") ?? "tcp"}`;
    request.exposed[key] = {};
    const binding = {
      HostIp: readText(port, "ip") ?? "",
      HostPort: String(readNumber(port, "external") ?? 0),
    };
    (request.bindings[key] ??= []).push(binding);
  }
  return request;
}

function healthcheckRequest(inputs: ValueMap): Dockerode.HealthConfig | undefined {
  const check = readMap(inputs, "healthcheck");
  if (check === undefined) return undefined;
  const duration = (key: string): number => parseDuration(readText(check, key) ?? "0s");
  const startInterval = duration("startInterval");
  return {
    Test: readTexts(check, "tests"),
    Interval: duration("interval"),
    Timeout: duration("timeout"),
    StartPeriod: duration("startPeriod"),
    // Needs API 1.44 (Docker 25); an older daemon never hears of it unless it is wanted.
    ...(startInterval === 0 ? {} : { StartInterval: startInterval }),
    Retries: readNumber(check, "retries") ?? 0,
  };
}

function deviceRequest(device: ValueMap): Dockerode.DeviceMapping {
  const path = readText(device, "hostPath") ?? "";
  return {
    PathOnHost: path,
    PathInContainer: nonEmpty(readText(device, "containerPath")) ?? path,
    CgroupPermissions: readText(device, "permissions") ?? "rwm",
  };
}

function rates(inputs: ValueMap, key: string): { Path: string; Rate: number }[] | undefined {
  return some(
    readMaps(inputs, key).map((limit) => ({
      Path: readText(limit, "path") ?? "",
      Rate: readNumber(limit, "rate") ?? 0,
    })),
  );
}

function mebibytes(value: number | undefined): number | undefined {
  return value === undefined || value === 0 ? undefined : value * MEBIBYTE;
}

function some<Item>(items: Item[]): Item[] | undefined {
  return items.length > 0 ? items : undefined;
}

type Defined<Shape> = { [Key in keyof Shape]?: Exclude<Shape[Key], undefined> };

function dropUndefined<Shape extends object>(shape: Shape): Defined<Shape> {
  return Object.fromEntries(
    Object.entries(shape).filter(([, value]) => value !== undefined),
  ) as Defined<Shape>;
}
