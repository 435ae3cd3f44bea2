import { isList, isMap } from "../../value-tools.ts";
import type { Value } from "../../values.ts";
import { flag, integer, listOf, mapOf, object, setOf, text } from "../bridge/field.ts";
import type { Fields } from "../bridge/field.ts";

/** `docker:index/container:Container` of the docker package 5.2.0, property by property. */

const DURATION = /^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$/;
const replace = { replace: true } as const;

export const LABEL = object({ label: text({ required: true }), value: text({ required: true }) });

const rate = setOf(
  object({ path: text({ required: true }), rate: integer({ required: true, minimum: 0 }) }),
  { blank: [] },
);

const MOUNT = object({
  target: text({ required: true }),
  source: text({ blank: "" }),
  type: text({ required: true, pattern: /^(bind|volume|tmpfs)$/ }),
  readOnly: flag({ blank: false }),
  bindOptions: object({
    propagation: text({ blank: "", pattern: /^(private|rprivate|shared|rshared|slave|rslave)$/ }),
  }),
  volumeOptions: object({
    noCopy: flag({ blank: false }),
    labels: setOf(LABEL, { blank: [] }),
    driverName: text({ blank: "" }),
    driverOptions: mapOf(text()),
    subpath: text({ blank: "" }),
  }),
  tmpfsOptions: object({ sizeBytes: integer({ blank: 0 }), mode: integer({ blank: 0 }) }),
});

const VOLUME = object({
  containerPath: text({ blank: "" }),
  fromContainer: text({ blank: "" }),
  hostPath: text({ blank: "", pattern: /^([a-zA-Z]:\\|\/)/ }),
  readOnly: flag({ blank: false }),
  selinuxRelabel: text({ blank: "", pattern: /^(z|Z)$/ }),
  volumeName: text({ blank: "" }),
});

const NETWORK = object({
  name: text({ required: true }),
  aliases: setOf(text(), { blank: [] }),
  driverOpts: setOf(text(), { blank: [] }),
  gwPriority: integer({ blank: 0, minimum: 0 }),
  ipv4Address: text({ blank: "" }),
  ipv6Address: text({ blank: "" }),
  linkLocalIps: setOf(text(), { blank: [] }),
  macAddress: text({ blank: "" }),
});

const PORT = object({
  internal: integer({ required: true }),
  external: integer({ computed: true, blank: 0 }),
  ip: text({ default: "0.0.0.0" }),
  protocol: text({ default: "tcp" }),
});

const UPLOAD = object({
  content: text({ blank: "" }),
  contentBase64: text({
    blank: "",
    pattern: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  }),
  executable: flag({ blank: false }),
  file: text({ required: true }),
  group: text({ blank: "" }),
  owner: text({ blank: "" }),
  permissions: text({ blank: "", pattern: /^0[0-7]{3}$/ }),
  source: text({ blank: "" }),
  sourceHash: text({ blank: "" }),
});

const DEVICE_REQUEST = object({
  capabilities: setOf(text(), { blank: [] }),
  count: integer({ blank: 0 }),
  deviceIds: setOf(text(), { blank: [] }),
  driver: text({ default: "cdi" }),
  options: mapOf(text()),
});

const duration = text({ default: "0s", pattern: DURATION });
const HEALTHCHECK = object(
  {
    tests: listOf(text(), { blank: [] }),
    interval: duration,
    timeout: duration,
    startPeriod: duration,
    startInterval: duration,
    retries: integer({ blank: 0, minimum: 0 }),
  },
  // Adding or removing one replaces; a change inside is recorded and never reaches the container.
  { ...replace, computed: true, elementReplaces: () => false },
);

const NETWORK_DATA = object({
  networkName: text(),
  ipAddress: text(),
  ipPrefixLength: integer(),
  gateway: text(),
  globalIpv6Address: text(),
  globalIpv6PrefixLength: integer(),
  ipv6Gateway: text(),
  macAddress: text(),
});

export const CONTAINER_FIELDS: Fields = {
  attach: flag({ blank: false }),
  bridge: text({ outputOnly: true }),
  capabilities: object({ adds: setOf(text(), { blank: [] }), drops: setOf(text(), { blank: [] }) }, replace),
  cgroupParent: text(replace),
  cgroupnsMode: text({ ...replace, pattern: /^(private|host|)$/ }),
  command: listOf(text({ pattern: /^[^]+$/ }), { ...replace, computed: true, blank: [] }),
  containerLogs: text({ outputOnly: true }),
  containerReadRefreshTimeoutMilliseconds: integer({ default: 15_000 }),
  cpuPeriod: integer({ minimum: 0 }),
  cpuQuota: integer({ minimum: 0 }),
  cpuSet: text({ blank: "", pattern: /^\d+([,-]\d+)*$/ }),
  cpuShares: integer({ blank: 0, minimum: 0 }),
  cpus: text({ ...replace, pattern: /^\d*\.?\d+$/ }),
  destroyGraceSeconds: integer(),
  deviceCgroupRules: setOf(text(), replace),
  deviceReadBps: rate,
  deviceReadIops: rate,
  deviceRequests: setOf(DEVICE_REQUEST, { ...replace, blank: [] }),
  deviceWriteBps: rate,
  deviceWriteIops: rate,
  devices: setOf(
    object({
      containerPath: text({ blank: "" }),
      hostPath: text({ required: true }),
      permissions: text({ default: "rwm" }),
    }),
    { ...replace, blank: [] },
  ),
  dns: setOf(text(), replace),
  dnsOpts: setOf(text(), replace),
  dnsSearches: setOf(text(), replace),
  domainname: text({ ...replace, blank: "" }),
  entrypoints: listOf(text(), { ...replace, computed: true, blank: [] }),
  envs: setOf(text(), { ...replace, computed: true, blank: [], unread: true }),
  exitCode: integer({ outputOnly: true }),
  gpus: text({
    refused: "GPU requests are not known to the embedded engine; use deviceRequests or the Pulumi CLI",
  }),
  groupAdds: setOf(text(), replace),
  healthcheck: HEALTHCHECK,
  hostname: text({ ...replace, computed: true }),
  hosts: setOf(object({ host: text({ required: true }), ip: text({ required: true }) }), {
    ...replace,
    blank: [],
  }),
  image: text({ ...replace, required: true }),
  init: flag({ computed: true, blank: false }),
  ipcMode: text({ ...replace, computed: true }),
  labels: setOf(LABEL, { ...replace, computed: true, blank: [] }),
  logDriver: text({ ...replace, computed: true }),
  logOpts: mapOf(text(), replace),
  logs: flag({ blank: false }),
  maxRetryCount: integer({ blank: 0 }),
  memory: integer({ blank: 0, minimum: 0 }),
  memoryReservation: integer({ blank: 0, minimum: 0 }),
  memorySwap: integer({ blank: 0, minimum: -1 }),
  mounts: setOf(MOUNT, { ...replace, blank: [], elementReplaces: mountReplaces }),
  mustRun: flag({ default: true }),
  name: text({ ...replace }),
  networkDatas: listOf(NETWORK_DATA, { outputOnly: true, blank: [] }),
  networkMode: text({ ...replace, default: "bridge" }),
  networksAdvanced: setOf(NETWORK, { ...replace, blank: [] }),
  pidMode: text(replace),
  platform: text({ ...replace, computed: true }),
  ports: listOf(PORT, { ...replace, blank: [], same: samePorts }),
  privileged: flag({ ...replace, blank: false }),
  publishAllPorts: flag({ ...replace, blank: false }),
  readOnly: flag({ ...replace, blank: false }),
  removeVolumes: flag({ default: true }),
  restart: text({ default: "no", pattern: /^(no|on-failure|always|unless-stopped)$/ }),
  rm: flag({ blank: false }),
  runtime: text({ ...replace, computed: true }),
  securityOpts: setOf(text(), { ...replace, computed: true, blank: [] }),
  shmSize: integer({ ...replace, computed: true, minimum: 0 }),
  start: flag({ default: true }),
  stdinOpen: flag({ ...replace, blank: false }),
  stopSignal: text({ ...replace, computed: true, blank: "" }),
  stopTimeout: integer({ ...replace, computed: true, blank: 0 }),
  storageOpts: mapOf(text(), replace),
  sysctls: mapOf(text(), replace),
  tmpfs: mapOf(text()),
  tty: flag({ ...replace, blank: false }),
  ulimits: setOf(
    object({
      hard: integer({ required: true }),
      name: text({ required: true }),
      soft: integer({ required: true }),
    }),
    { ...replace, blank: [] },
  ),
  uploads: setOf(UPLOAD, { ...replace, blank: [] }),
  user: text({ ...replace, emptyIsUnset: true, blank: "" }),
  usernsMode: text({ ...replace, blank: "" }),
  volumes: setOf(VOLUME, { ...replace, blank: [] }),
  wait: flag({ blank: false }),
  waitTimeout: integer({ default: 60 }),
  workingDir: text({ ...replace, emptyIsUnset: true, blank: "" }),
};

/**
 * With as many mounts as before, another source, target or mode is only recorded, as in the real provider: the
 * container keeps its old mounts until something else replaces it.
 */
function mountReplaces(mount: Value): boolean {
  if (!isMap(mount)) return false;
  const volume = mount["volumeOptions"];
  const subpath = isMap(volume) ? (volume["subpath"] ?? "") : "";
  return subpath !== "" || isMap(mount["tmpfsOptions"]);
}

/**
 * The daemon reports ports in its own order and chooses those left to it, so each recorded port looks for its
 * wish wherever that stands in the list.
 */
export function samePorts(before: Value, after: Value): boolean {
  if (!isList(before) || !isList(after) || before.length !== after.length) return false;
  const rest = [...after];
  return before.every((old) => {
    const at = rest.findIndex((wish) => samePort(old, wish));
    if (at >= 0) rest.splice(at, 1);
    return at >= 0;
  });
}

function samePort(old: Value, wish: Value): boolean {
  if (!isMap(old) || !isMap(wish)) return false;
  const external = wish["external"] ?? 0;
  return (
    old["internal"] === wish["internal"] &&
    (old["protocol"] ?? "tcp") === (wish["protocol"] ?? "tcp") &&
    (old["ip"] ?? "0.0.0.0") === (wish["ip"] ?? "0.0.0.0") &&
    (external === 0 || old["external"] === external)
  );
}
