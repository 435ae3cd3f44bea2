import { DockerError, isNotFound } from "../../../hosts/docker.ts";
import type { ValueMap } from "../../values.ts";
import { canonical } from "../bridge/diff.ts";
import { outputsFromInputs, updatedOutputs } from "../bridge/outputs.ts";
import { PartialFailure } from "../provider.ts";
import type { CallContext } from "../provider.ts";
import { readFlag, readMaps, readNumber, readText, readTexts } from "../read-value.ts";
import { untilHealthy } from "./container-health.ts";
import { createdOutputs, readOutputs } from "./container-outputs.ts";
import { containerRequest, restartPolicy, updatableResources } from "./container-request.ts";
import { CONTAINER_FIELDS } from "./container-schema.ts";
import type { DockerSite, ResourceHandler } from "./handler.ts";
import { ensureImage } from "./image.ts";
import type { Inspected } from "./inspected.ts";
import { uploadArchives } from "./uploads.ts";

/** What Docker can change on a container; anything else that is no replacement is only recorded. */
const UPDATABLE = [
  ...["restart", "maxRetryCount", "cpuShares", "memory", "memoryReservation", "cpuSet", "memorySwap"],
  ...["deviceReadBps", "deviceReadIops", "deviceWriteBps", "deviceWriteIops"],
];

async function inspect(site: DockerSite, id: string): Promise<Inspected> {
  return site.docker.call((client) => client.getContainer(id).inspect() as Promise<Inspected>);
}

/** Puts the container on the networks it names instead of the default one. */
async function joinNetworks(site: DockerSite, id: string, inputs: ValueMap): Promise<void> {
  const networks = readMaps(inputs, "networksAdvanced");
  if (networks.length === 0) return;
  await site.docker.call(async (client) => {
    try {
      await client.getNetwork("bridge").disconnect({ Container: id });
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes("is not connected to")) throw error;
    }
  });
  for (const network of networks) {
    const name = readText(network, "name") ?? "";
    const endpoint = {
      Aliases: readTexts(network, "aliases"),
      IPAMConfig: {
        IPv4Address: readText(network, "ipv4Address") ?? "",
        IPv6Address: readText(network, "ipv6Address") ?? "",
        LinkLocalIPs: readTexts(network, "linkLocalIps"),
      },
      MacAddress: readText(network, "macAddress") ?? "",
      DriverOpts: Object.fromEntries(
        readTexts(network, "driverOpts").flatMap((option) => {
          const at = option.indexOf("=");
          return at < 0 ? [] : [[option.slice(0, at), option.slice(at + 1)]];
        }),
      ),
      ...(readNumber(network, "gwPriority") === undefined
        ? {}
        : { GwPriority: readNumber(network, "gwPriority") }),
    };
    try {
      await site.docker.call((client) =>
        client.getNetwork(name).connect({ Container: id, EndpointConfig: endpoint }),
      );
    } catch (error) {
      throw explained(`Unable to connect to network '${name}'`, error);
    }
  }
}

async function upload(site: DockerSite, context: CallContext, id: string, inputs: ValueMap): Promise<void> {
  for (const { archive, keepOwner } of await uploadArchives(inputs, context.programDirectory)) {
    await site.docker.call((client) =>
      client
        .getContainer(id)
        .putArchive(archive, { path: "/", ...(keepOwner ? { copyUIDGID: "true" } : {}) }),
    );
  }
}

/** Waits for a container that is meant to end, and gives what it printed where that is wanted. */
async function untilEnded(site: DockerSite, id: string, inputs: ValueMap): Promise<ValueMap> {
  await site.docker.call((client) => client.getContainer(id).wait());
  if (readFlag(inputs, "logs") !== true) return {};
  const raw = await site.docker.call((client) =>
    client.getContainer(id).logs({ stdout: true, stderr: true, follow: false }),
  );
  if (readFlag(inputs, "tty") === true) return { containerLogs: raw.toString("utf8") };
  return { containerLogs: Buffer.concat([...frames(raw)]).toString("utf8") };
}

/** Without a terminal the daemon frames each write: one byte of stream, three of nothing, four of length. */
function* frames(raw: Buffer): Generator<Buffer> {
  for (let at = 0; at + 8 <= raw.length;) {
    const length = raw.readUInt32BE(at + 4);
    yield raw.subarray(at + 8, at + 8 + length);
    at += 8 + length;
  }
}

async function start(site: DockerSite, id: string): Promise<void> {
  try {
    await site.docker.call((client) => client.getContainer(id).start());
  } catch (error) {
    // 304: it runs already.
    if (!(error instanceof DockerError) || error.status !== 304) {
      throw explained("Unable to start container", error);
    }
  }
}

async function begin(
  site: DockerSite,
  context: CallContext,
  id: string,
  inputs: ValueMap,
): Promise<ValueMap> {
  await joinNetworks(site, id, inputs);
  await upload(site, context, id, inputs);
  if (readFlag(inputs, "start") !== false) {
    await start(site, id);
    if (readFlag(inputs, "wait") === true) {
      const limit = readNumber(inputs, "waitTimeout") ?? 60;
      await untilHealthy(site, context, limit, () => inspect(site, id), id);
    }
  }
  return readFlag(inputs, "attach") === true ? untilEnded(site, id, inputs) : {};
}

/** `docker:index/container:Container` */
export const container: ResourceHandler = {
  fields: CONTAINER_FIELDS,
  nameProperty: "name",
  deleteBeforeReplace: true,

  async create(site, context, inputs) {
    const image = readText(inputs, "image") ?? "";
    await ensureImage(site, context, image);
    let id: string;
    try {
      id = await site.docker.call(
        async (client) => (await client.createContainer(containerRequest(inputs))).id,
      );
    } catch (error) {
      throw explained("Unable to create container", error);
    }
    try {
      const printed = await begin(site, context, id, inputs);
      return { id, outputs: { ...createdOutputs(inputs, await inspect(site, id)), ...printed } };
    } catch (error) {
      // The container exists: it must be known, or the next run fails on its name.
      throw new PartialFailure(messageOf(error), { id, outputs: await remains(site, id, inputs) });
    }
  },

  /** Nobody was told that it is ready, so it goes, with its grace, and is made again: its data is in volumes. */
  async recover(site, context, inputs, since) {
    const name = readText(inputs, "name") ?? "";
    let found: Inspected;
    try {
      found = await inspect(site, name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
    if (found.Name !== `/${name}` || Date.parse(found.Created) < since) return undefined;
    context.status("Removing the container that an interrupted creation left");
    await this.delete(site, context, found.Id, inputs);
    return undefined;
  },

  async read(site, _context, id, recorded) {
    try {
      const found = await inspect(site, id);
      return { id: found.Id, outputs: readOutputs(recorded, found) };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  },

  async update(site, _context, id, oldOutputs, inputs) {
    const changed = (key: string): boolean => {
      const field = CONTAINER_FIELDS[key];
      return field !== undefined && canonical(field, oldOutputs[key]) !== canonical(field, inputs[key]);
    };
    const mustStart = oldOutputs["mustRun"] === false && readFlag(inputs, "mustRun") !== false;
    if (mustStart && readFlag(inputs, "start") !== false) {
      await start(site, id);
    }
    if (UPDATABLE.some(changed)) {
      try {
        await site.docker.call((client) =>
          client.getContainer(id).update({
            RestartPolicy: restartPolicy(inputs),
            ...updatableResources(inputs),
          }),
        );
      } catch (error) {
        throw explained("Unable to update a container", error);
      }
    }
    return updatedOutputs(CONTAINER_FIELDS, oldOutputs, inputs);
  },

  async delete(site, _context, id, outputs) {
    const gone = (error: unknown): boolean =>
      error instanceof DockerError &&
      // 304: it is stopped already.
      (error.status === 404 || error.status === 304 || error.message.includes("is already in progress"));
    const ignoringGone = async (what: string, request: () => Promise<unknown>): Promise<void> => {
      try {
        await request();
      } catch (error) {
        if (!gone(error)) throw explained(what, error);
      }
    };
    if (readFlag(outputs, "attach") !== true) {
      // Without a grace the real provider kills at once, whatever stopTimeout says.
      const seconds = Math.max(0, readNumber(outputs, "destroyGraceSeconds") ?? 0);
      await ignoringGone(`Error stopping container ${id}`, () =>
        site.docker.call((client) => client.getContainer(id).stop({ t: seconds })),
      );
    }
    const removeVolumes = readFlag(outputs, "removeVolumes") ?? true;
    await ignoringGone(`Error deleting container ${id}`, () =>
      site.docker.call((client) => client.getContainer(id).remove({ force: true, v: removeVolumes })),
    );
    const condition = readFlag(outputs, "rm") === true ? "removed" : "not-running";
    await ignoringGone(`Error waiting for container removal '${id}'`, () =>
      site.docker.call((client) => client.getContainer(id).wait({ condition })),
    );
  },
};

async function remains(site: DockerSite, id: string, inputs: ValueMap): Promise<ValueMap> {
  try {
    return createdOutputs(inputs, await inspect(site, id));
  } catch {
    return { ...outputsFromInputs(CONTAINER_FIELDS, inputs), id };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function explained(what: string, error: unknown): unknown {
  if (!(error instanceof DockerError)) return error;
  return new Error(`${what}: ${error.message}`, { cause: error });
}
