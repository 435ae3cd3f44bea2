import type { Value, ValueMap } from "../../values.ts";
import { isList, isMap } from "../../value-tools.ts";
import { outputsFromInputs } from "../bridge/outputs.ts";
import { mountsOutput } from "./container-mounts.ts";
import { CONTAINER_FIELDS } from "./container-schema.ts";
import { formatCpus, formatDuration } from "./go-values.ts";
import type { Inspected, InspectedPorts } from "./inspected.ts";
import { TIMEOUTS, TIMEOUTS_KEY } from "./timeouts.ts";

const MEBIBYTE = 1024 * 1024;

/** What the bridge keeps beside a container's outputs; without it the real provider fails on our state. */
const META = JSON.stringify({ [TIMEOUTS_KEY]: TIMEOUTS, schema_version: "2" });

/** Outputs right after a create: what was written, completed by what the daemon made of it. */
export function createdOutputs(inputs: ValueMap, inspected: Inspected): ValueMap {
  return readOutputs(outputsFromInputs(CONTAINER_FIELDS, inputs), inspected);
}

/**
 * The outputs a read gives: `recorded` with everything the daemon reports in its place. What the real provider
 * never reads back (envs, labels, volumes, uploads, start, attach, ...) stays as recorded.
 */
export function readOutputs(recorded: ValueMap, inspected: Inspected): ValueMap {
  const { Config: config, HostConfig: host, State: state } = inspected;
  const image = recorded["image"];
  return {
    ...recorded,
    __meta: META,
    id: inspected.Id,
    envs: recorded["envs"] ?? null,
    ...networkOutputs(recorded, inspected),
    ...(state.Running
      ? {}
      : { exitCode: state.ExitCode, ...(recorded["mustRun"] === true ? { mustRun: false } : {}) }),
    name: inspected.Name.replace(/^\//, ""),
    rm: host.AutoRemove ?? false,
    readOnly: host.ReadonlyRootfs ?? false,
    // Whoever pinned by id gets the id back, whoever wrote a reference gets the reference.
    image: typeof image === "string" && image.startsWith("sha256:") ? inspected.Image : config.Image,
    hostname: config.Hostname ?? "",
    domainname: config.Domainname ?? "",
    command: config.Cmd ?? [],
    entrypoints: config.Entrypoint ?? [],
    user: config.User ?? "",
    dns: listOrNull(host.Dns),
    dnsOpts: listOrNull(host.DnsOptions),
    dnsSearches: listOrNull(host.DnsSearch),
    securityOpts: host.SecurityOpt ?? [],
    publishAllPorts: host.PublishAllPorts ?? false,
    restart: host.RestartPolicy?.Name ?? "no",
    maxRetryCount: host.RestartPolicy?.MaximumRetryCount ?? 0,
    init: host.Init ?? false,
    workingDir: config.WorkingDir ?? "",
    ...capabilitiesOutput(inspected),
    runtime: host.Runtime ?? "",
    platform: inspected.Platform ?? "",
    mounts: mountsOutput(host.Mounts),
    tmpfs: mapOrNull(host.Tmpfs),
    hosts: (host.ExtraHosts ?? []).map(extraHost),
    ...(filled(recorded["ulimits"]) ? { ulimits: ulimitsOutput(inspected) } : {}),
    privileged: host.Privileged ?? false,
    ...(filled(recorded["devices"]) ? { devices: devicesOutput(recorded["devices"], inspected) } : {}),
    deviceCgroupRules: listOrNull(host.DeviceCgroupRules),
    deviceReadBps: rates(host.BlkioDeviceReadBps),
    deviceReadIops: rates(host.BlkioDeviceReadIOps),
    deviceWriteBps: rates(host.BlkioDeviceWriteBps),
    deviceWriteIops: rates(host.BlkioDeviceWriteIOps),
    memory: mebibytes(host.Memory),
    memoryReservation: mebibytes(host.MemoryReservation),
    memorySwap: mebibytes(host.MemorySwap),
    shmSize: mebibytes(host.ShmSize),
    ...(host.NanoCpus ? { cpus: formatCpus(host.NanoCpus) } : {}),
    cpuShares: host.CpuShares ?? 0,
    cpuSet: host.CpusetCpus ?? "",
    logDriver: host.LogConfig?.Type ?? "",
    logOpts: filled(recorded["logOpts"]) ? (host.LogConfig?.Config ?? null) : null,
    storageOpts: mapOrNull(host.StorageOpt),
    networkMode: host.NetworkMode ?? "",
    ...(filled(recorded["pidMode"]) ? { pidMode: host.PidMode ?? "" } : {}),
    usernsMode: host.UsernsMode ?? "",
    ...healthcheckOutput(inspected),
    sysctls: mapOrNull(host.Sysctls),
    ipcMode: host.IpcMode ?? "",
    groupAdds: listOrNull(host.GroupAdd),
    tty: config.Tty ?? false,
    stdinOpen: config.OpenStdin ?? false,
    stopSignal: config.StopSignal ?? "",
    stopTimeout: config.StopTimeout ?? 0,
  };
}

function networkOutputs(recorded: ValueMap, inspected: Inspected): ValueMap {
  const { Networks: networks, Ports: ports, Bridge: bridge } = inspected.NetworkSettings;
  const networkDatas = Object.entries(networks ?? {}).map(([networkName, data]) => ({
    networkName,
    ipAddress: data.IPAddress ?? "",
    ipPrefixLength: data.IPPrefixLen ?? 0,
    gateway: data.Gateway ?? "",
    globalIpv6Address: data.GlobalIPv6Address ?? "",
    globalIpv6PrefixLength: data.GlobalIPv6PrefixLen ?? 0,
    ipv6Gateway: data.IPv6Gateway ?? "",
    macAddress: data.MacAddress ?? "",
  }));
  // A stopped container has no ports; they are only forgotten where it ought to run.
  const visible = inspected.State.Running || recorded["mustRun"] === true;
  return {
    bridge: bridge ?? "",
    networkDatas,
    ...(visible && filled(recorded["ports"]) ? { ports: portsOutput(ports ?? {}) } : {}),
  };
}

export function portsOutput(ports: InspectedPorts): Value {
  return Object.entries(ports)
    .map(([key, bindings]) => ({ key, internal: Number.parseInt(key, 10), bindings: bindings ?? [] }))
    .sort((a, b) => a.internal - b.internal)
    .flatMap(({ key, internal, bindings }) =>
      bindings.map((binding) => ({
        internal,
        external: Number(binding.HostPort),
        ip: binding.HostIp,
        protocol: key.split("/")[1] ?? "tcp",
      })),
    );
}

function capabilitiesOutput({ HostConfig: { CapAdd, CapDrop } }: Inspected): ValueMap {
  const adds = CapAdd ?? [];
  const drops = CapDrop ?? [];
  return adds.length > 0 || drops.length > 0 ? { capabilities: { adds, drops } } : {};
}

function healthcheckOutput({ Config: { Healthcheck: check } }: Inspected): ValueMap {
  if (!check) return {};
  return {
    healthcheck: {
      tests: check.Test ?? [],
      interval: formatDuration(check.Interval ?? 0),
      timeout: formatDuration(check.Timeout ?? 0),
      startPeriod: formatDuration(check.StartPeriod ?? 0),
      startInterval: formatDuration(check.StartInterval ?? 0),
      retries: check.Retries ?? 0,
    },
  };
}

function ulimitsOutput({ HostConfig: { Ulimits } }: Inspected): Value {
  return (Ulimits ?? []).map((limit) => ({ name: limit.Name, soft: limit.Soft, hard: limit.Hard }));
}

/** The daemon fills in containerPath; it is recorded only where it was written. */
function devicesOutput(recorded: Value | undefined, { HostConfig: { Devices } }: Inspected): Value {
  const written = isList(recorded) ? recorded.filter((device) => isMap(device)) : [];
  const named = new Set(
    written.filter((device) => (device["containerPath"] ?? "") !== "").map((device) => device["hostPath"]),
  );
  return (Devices ?? []).map((device) => ({
    hostPath: device.PathOnHost,
    permissions: device.CgroupPermissions,
    containerPath: named.has(device.PathOnHost) ? device.PathInContainer : "",
  }));
}

function extraHost(entry: string): Value {
  const at = entry.indexOf(":");
  return { host: entry.slice(0, at), ip: entry.slice(at + 1) };
}

function rates(limits: readonly { Path: string; Rate: number }[] | null | undefined): Value {
  return (limits ?? []).map((limit) => ({ path: limit.Path, rate: limit.Rate }));
}

const mebibytes = (bytes: number | undefined): number =>
  bytes !== undefined && bytes > 0 ? Math.floor(bytes / MEBIBYTE) : (bytes ?? 0);

const listOrNull = (list: readonly string[] | null | undefined): Value =>
  list !== undefined && list !== null && list.length > 0 ? list : null;

const mapOrNull = (map: Readonly<Record<string, string>> | null | undefined): Value =>
  map !== undefined && map !== null && Object.keys(map).length > 0 ? map : null;

/** Something was written: neither absent nor empty. */
function filled(value: Value | undefined): boolean {
  if (value === undefined || value === null || value === "") return false;
  return isList(value) ? value.length > 0 : true;
}
