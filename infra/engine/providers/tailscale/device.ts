import type { TailnetApi } from "../../../tailnet/api.ts";
import { TailnetApiError } from "../../../tailnet/api.ts";
import type { ValueMap } from "../../values.ts";
import { flag, setOf, text } from "../bridge/field.ts";
import type { Fields } from "../bridge/field.ts";
import { readFlag, readText, readTexts } from "../read-value.ts";
import type { ResourceHandler } from "./handler.ts";

/** A device as the API has it; what is not here is not used. */
export interface Device {
  readonly id: string;
  readonly nodeId: string;
  readonly name: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly authorized: boolean;
  readonly blocksIncomingConnections: boolean;
  readonly clientVersion: string;
  readonly created: string;
  readonly expires: string;
  readonly isExternal: boolean;
  readonly keyExpiryDisabled: boolean;
  readonly lastSeen?: string | null;
  readonly machineKey: string;
  readonly nodeKey: string;
  readonly os: string;
  readonly tags?: readonly string[];
  readonly tailnetLockError: string;
  readonly tailnetLockKey: string;
  readonly updateAvailable: boolean;
  readonly user: string;
}

/** Of Go's zero time, which the API's empty times become. */
const NO_TIME = "0001-01-01T00:00:00Z";

const goTime = (value: string | null | undefined): string =>
  value === undefined || value === null || value === "" ? NO_TIME : value.replace(/\.\d+(?=Z|[+-])/, "");

/** `tailscale:index/getDevice:getDevice` */
export async function getDevice(api: TailnetApi, args: ValueMap): Promise<ValueMap> {
  const name = readText(args, "name");
  const hostname = readText(args, "hostname");
  if ((name === undefined) === (hostname === undefined))
    throw new Error("getDevice takes either name or hostname; write one of the two");
  if (args["waitFor"] !== undefined && args["waitFor"] !== null)
    throw new Error("waitFor of getDevice is not known to the embedded engine; leave it out");
  const [key, value] = name === undefined ? ["hostname", hostname ?? ""] : ["name", name];
  const { devices } = await api.json<{ devices: readonly Device[] }>({
    method: "GET",
    path: api.tailnetPath("devices"),
    query: { [key]: value },
  });
  const [device] = devices;
  // The real provider's words.
  if (device === undefined) throw new Error(`could not find device with ${key}=${JSON.stringify(value)}`);
  return {
    addresses: device.addresses,
    authorized: device.authorized,
    blocksIncomingConnections: device.blocksIncomingConnections,
    clientVersion: device.clientVersion,
    created: goTime(device.created),
    expires: goTime(device.expires),
    hostname: device.hostname,
    id: device.id,
    isExternal: device.isExternal,
    keyExpiryDisabled: device.keyExpiryDisabled,
    lastSeen: device.lastSeen === undefined || device.lastSeen === null ? "" : goTime(device.lastSeen),
    machineKey: device.machineKey,
    name: device.name,
    nodeId: device.nodeId,
    nodeKey: device.nodeKey,
    os: device.os,
    tags: device.tags ?? [],
    tailnetLockError: device.tailnetLockError,
    tailnetLockKey: device.tailnetLockKey,
    updateAvailable: device.updateAvailable,
    user: device.user,
  };
}

/** undefined = there is no such device. */
async function deviceById(api: TailnetApi, id: string): Promise<Device | undefined> {
  try {
    return await api.json<Device>({ method: "GET", path: `/device/${encodeURIComponent(id)}` });
  } catch (error) {
    if (error instanceof TailnetApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** Both ids of a device work; what was recorded stays, as the real provider has it. */
const canonicalId = (device: Device, id: string): string => (device.id === id ? id : device.nodeId);

const TAGS: Fields = {
  deviceId: text({ required: true, replace: true }),
  tags: setOf(text(), { required: true, blank: [] }),
};

async function setTags(api: TailnetApi, id: string, tags: readonly string[]): Promise<void> {
  await api.request({ method: "POST", path: `/device/${encodeURIComponent(id)}/tags`, body: { tags } });
}

/** `tailscale:index/deviceTags:DeviceTags` */
export const deviceTags: ResourceHandler = {
  fields: TAGS,
  async create(api, inputs) {
    const id = readText(inputs, "deviceId") ?? "";
    const tags = readTexts(inputs, "tags");
    await setTags(api, id, tags);
    return { id, outputs: { deviceId: id, tags, id } };
  },
  async read(api, id) {
    const device = await deviceById(api, id);
    if (device === undefined) return undefined;
    return { id, outputs: { deviceId: canonicalId(device, id), tags: device.tags ?? [], id } };
  },
  async update(api, id, _oldOutputs, inputs) {
    const tags = readTexts(inputs, "tags");
    await setTags(api, id, tags);
    return { deviceId: id, tags, id };
  },
  delete: (api, id) => setTags(api, id, []),
};

const KEY: Fields = {
  deviceId: text({ required: true, replace: true }),
  keyExpiryDisabled: flag({ computed: true }),
};

async function setKey(api: TailnetApi, id: string, keyExpiryDisabled: boolean): Promise<void> {
  await api.request({
    method: "POST",
    path: `/device/${encodeURIComponent(id)}/key`,
    body: { keyExpiryDisabled },
  });
}

/** `tailscale:index/deviceKey:DeviceKey` */
export const deviceKey: ResourceHandler = {
  fields: KEY,
  async create(api, inputs) {
    const id = readText(inputs, "deviceId") ?? "";
    const keyExpiryDisabled = readFlag(inputs, "keyExpiryDisabled") ?? false;
    await setKey(api, id, keyExpiryDisabled);
    return { id, outputs: { deviceId: id, keyExpiryDisabled, id } };
  },
  async read(api, id) {
    const device = await deviceById(api, id);
    if (device === undefined) return undefined;
    const { keyExpiryDisabled } = device;
    return { id, outputs: { deviceId: canonicalId(device, id), keyExpiryDisabled, id } };
  },
  async update(api, id, _oldOutputs, inputs) {
    const keyExpiryDisabled = readFlag(inputs, "keyExpiryDisabled") ?? false;
    await setKey(api, id, keyExpiryDisabled);
    return { deviceId: id, keyExpiryDisabled, id };
  },
  delete: (api, id) => setKey(api, id, false),
};
