import type { VolumeInspectInfo } from "dockerode";

import { isNotFound } from "../../../hosts/docker.ts";
import type { ValueMap } from "../../values.ts";
import { mapOf, object, setOf, text } from "../bridge/field.ts";
import type { Fields } from "../bridge/field.ts";
import { outputsFromInputs, updatedOutputs } from "../bridge/outputs.ts";
import { readMaps, readText, readTextMap } from "../read-value.ts";
import { labelList, labelMap } from "./container-mounts.ts";
import { LABEL } from "./container-schema.ts";
import type { ResourceHandler } from "./handler.ts";
import { untilReleased } from "./until-released.ts";

const FIELDS: Fields = {
  name: text({ replace: true, computed: true }),
  driver: text({ replace: true, computed: true }),
  driverOpts: mapOf(text(), { replace: true }),
  labels: setOf(LABEL, { replace: true, blank: [] }),
  cluster: object({}, { refused: "swarm cluster volumes are not known to the embedded engine" }),
  mountpoint: text({ outputOnly: true }),
};

function outputs(known: ValueMap, volume: VolumeInspectInfo): ValueMap {
  const options = volume.Options ?? {};
  return {
    ...known,
    __meta: JSON.stringify({ schema_version: "1" }),
    id: volume.Name,
    name: volume.Name,
    driver: volume.Driver,
    driverOpts: Object.keys(options).length > 0 ? options : null,
    labels: labelList(volume.Labels),
    mountpoint: volume.Mountpoint,
  };
}

/** `docker:index/volume:Volume` */
export const volume: ResourceHandler = {
  fields: FIELDS,
  nameProperty: "name",
  deleteBeforeReplace: "named",

  async create(site, _context, inputs) {
    const options = {
      Name: readText(inputs, "name") ?? "",
      Labels: labelMap(readMaps(inputs, "labels")),
      ...optional("Driver", readText(inputs, "driver")),
      ...optional("DriverOpts", readTextMap(inputs, "driverOpts")),
    };
    // The daemon answers with the volume of that name if there is one: it is adopted, with its data.
    const name = await site.docker.call(async (client) => (await client.createVolume(options)).name);
    const made = await site.docker.call((client) => client.getVolume(name).inspect());
    return { id: made.Name, outputs: outputs(outputsFromInputs(FIELDS, inputs), made) };
  },

  async read(site, _context, id, recorded) {
    try {
      const found = await site.docker.call((client) => client.getVolume(id).inspect());
      return { id: found.Name, outputs: outputs(recorded, found) };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  },

  update(_site, _context, _id, oldOutputs, inputs) {
    return Promise.resolve(updatedOutputs(FIELDS, oldOutputs, inputs));
  },

  async delete(site, context, id) {
    await untilReleased(context, "in_use", /volume is in use/, async () => {
      try {
        await site.docker.call((client) => client.getVolume(id).remove({ force: true }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  },
};

function optional<Key extends string, Type>(key: Key, value: Type | undefined): Partial<Record<Key, Type>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Type>);
}
