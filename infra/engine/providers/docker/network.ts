import type { NetworkCreateOptions, NetworkInspectInfo } from "dockerode";

import { isNotFound } from "../../../hosts/docker.ts";
import { DockerError } from "../../../hosts/docker.ts";
import type { Value, ValueMap } from "../../values.ts";
import { flag, mapOf, object, setOf, text } from "../bridge/field.ts";
import type { Fields } from "../bridge/field.ts";
import { outputsFromInputs, updatedOutputs } from "../bridge/outputs.ts";
import { readFlag, readMaps, readText, readTextMap } from "../read-value.ts";
import { labelList, labelMap } from "./container-mounts.ts";
import { LABEL } from "./container-schema.ts";
import type { DockerSite, ResourceHandler } from "./handler.ts";
import { untilReleased } from "./until-released.ts";

const replace = { replace: true } as const;
const IPAM_CONFIG = object({
  subnet: text({ blank: "" }),
  ipRange: text({ blank: "" }),
  gateway: text({ blank: "" }),
  auxAddress: mapOf(text()),
});

const FIELDS: Fields = {
  name: text(replace),
  labels: setOf(LABEL, { ...replace, blank: [] }),
  driver: text({ ...replace, computed: true }),
  options: mapOf(text(), { ...replace, computed: true, blank: {} }),
  internal: flag({ ...replace, computed: true, blank: false }),
  attachable: flag({ ...replace, blank: false }),
  ingress: flag({ ...replace, blank: false }),
  ipv6: flag({ ...replace, blank: false }),
  ipamDriver: text({ ...replace, default: "default" }),
  ipamOptions: mapOf(text(), replace),
  ipamConfigs: setOf(IPAM_CONFIG, { ...replace, computed: true, blank: [] }),
  scope: text({ outputOnly: true }),
};

interface IpamConfig {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}

type Inspected = NetworkInspectInfo & {
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Options?: Readonly<Record<string, string>> | null;
    readonly Config?: readonly IpamConfig[] | null;
  };
};

function createOptions(inputs: ValueMap): NetworkCreateOptions {
  const ipamConfigs = readMaps(inputs, "ipamConfigs").map((config) => ({
    Subnet: readText(config, "subnet") ?? "",
    ...filled("IPRange", readText(config, "ipRange")),
    ...filled("Gateway", readText(config, "gateway")),
    ...filled("AuxiliaryAddresses", readTextMap(config, "auxAddress")),
  }));
  return {
    Name: readText(inputs, "name") ?? "",
    // The daemon allows two networks of one name unless it is asked to look.
    CheckDuplicate: true,
    Labels: labelMap(readMaps(inputs, "labels")),
    ...filled("Driver", readText(inputs, "driver")),
    Options: readTextMap(inputs, "options") ?? {},
    Internal: readFlag(inputs, "internal") ?? false,
    Attachable: readFlag(inputs, "attachable") ?? false,
    Ingress: readFlag(inputs, "ingress") ?? false,
    EnableIPv6: readFlag(inputs, "ipv6") ?? false,
    IPAM: {
      Driver: readText(inputs, "ipamDriver") ?? "default",
      Config: ipamConfigs,
      ...filled("Options", readTextMap(inputs, "ipamOptions")),
    },
  };
}

function filled<Key extends string, Type>(key: Key, value: Type | undefined): Partial<Record<Key, Type>> {
  return value === undefined || value === "" ? {} : ({ [key]: value } as Record<Key, Type>);
}

export function ipamOutput(configs: readonly IpamConfig[] | null | undefined): Value {
  return (configs ?? []).map((config) => ({
    subnet: config.Subnet ?? "",
    ipRange: config.IPRange ?? "",
    gateway: config.Gateway ?? "",
    auxAddress: config.AuxiliaryAddresses ?? {},
  }));
}

function outputs(known: ValueMap, network: Inspected): ValueMap {
  const ipamOptions = network.IPAM?.Options ?? {};
  return {
    ...known,
    __meta: JSON.stringify({ schema_version: "1" }),
    id: network.Id,
    name: network.Name,
    labels: labelList(network.Labels),
    driver: network.Driver,
    internal: network.Internal,
    attachable: network.Attachable,
    ingress: network.Ingress,
    ipv6: network.EnableIPv6,
    ipamDriver: network.IPAM?.Driver ?? "default",
    ipamOptions: Object.keys(ipamOptions).length > 0 ? ipamOptions : null,
    ipamConfigs: ipamOutput(network.IPAM?.Config),
    scope: network.Scope,
    options: network.Options ?? {},
  };
}

export async function inspectNetwork(site: DockerSite, idOrName: string): Promise<Inspected> {
  return site.docker.call((client) => client.getNetwork(idOrName).inspect() as Promise<Inspected>);
}

/** `docker:index/network:Network` */
export const network: ResourceHandler = {
  fields: FIELDS,
  nameProperty: "name",
  deleteBeforeReplace: "named",

  async create(site, _context, inputs) {
    let id: string;
    try {
      id = await site.docker.call(async (client) => (await client.createNetwork(createOptions(inputs))).id);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      throw new Error(`Unable to create network: ${error.message}`, { cause: error });
    }
    const made = await inspectNetwork(site, id);
    return { id, outputs: outputs(outputsFromInputs(FIELDS, inputs), made) };
  },

  /** A network is made by one request, so what is there is whole. */
  async recover(site, _context, inputs, since) {
    try {
      const found = await inspectNetwork(site, readText(inputs, "name") ?? "");
      if (found.Name !== readText(inputs, "name") || Date.parse(found.Created) < since) return undefined;
      return { id: found.Id, outputs: outputs(outputsFromInputs(FIELDS, inputs), found) };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  },

  async read(site, _context, id, recorded) {
    try {
      const found = await inspectNetwork(site, id);
      return { id: found.Id, outputs: outputs(recorded, found) };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  },

  update(_site, _context, _id, oldOutputs, inputs) {
    return Promise.resolve(updatedOutputs(FIELDS, oldOutputs, inputs));
  },

  async delete(site, context, id) {
    await untilReleased(context, "pending", /has active endpoints/, async () => {
      try {
        await site.docker.call((client) => client.getNetwork(id).remove());
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  },
};

/** `docker:index/getNetwork:getNetwork` */
export async function getNetwork(site: DockerSite, args: ValueMap): Promise<ValueMap> {
  const name = readText(args, "name") ?? "";
  let found: Inspected;
  try {
    found = await inspectNetwork(site, name);
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    throw new Error(`Could not find docker network: ${error.message}`, { cause: error });
  }
  const containers = Object.entries(found.Containers ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    id: found.Id,
    name: found.Name,
    driver: found.Driver,
    scope: found.Scope,
    internal: found.Internal,
    options: found.Options ?? {},
    ipamConfigs: ipamOutput(found.IPAM?.Config),
    containers: containers.map(([containerId, container]) => ({
      containerId,
      name: container.Name,
      endpointId: container.EndpointID,
      macAddress: container.MacAddress,
      ipv4Address: container.IPv4Address,
      ipv6Address: container.IPv6Address,
    })),
  };
}
