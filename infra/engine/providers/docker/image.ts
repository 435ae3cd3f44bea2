import type Dockerode from "dockerode";

import { isNotFound } from "../../../hosts/docker.ts";
import type { ValueMap } from "../../values.ts";
import { flag, mapOf, object, setOf, text } from "../bridge/field.ts";
import type { Fields } from "../bridge/field.ts";
import { outputsFromInputs, updatedOutputs } from "../bridge/outputs.ts";
import type { CallContext } from "../provider.ts";
import { readFlag, readText } from "../read-value.ts";
import type { DockerSite, ResourceHandler } from "./handler.ts";
import { TIMEOUTS, TIMEOUTS_KEY } from "./timeouts.ts";
import { parseImageReference } from "./image-reference.ts";

const TIMEOUTS_META = JSON.stringify({ [TIMEOUTS_KEY]: TIMEOUTS });

interface Image {
  readonly Id: string;
  readonly RepoDigests?: readonly string[] | null;
}

const FIELDS: Fields = {
  name: text({ required: true, replace: true }),
  platform: text({ replace: true }),
  build: object(
    {},
    {
      refused: "images are not built by the embedded engine; build it first and name it here, or use the CLI",
    },
  ),
  forceRemove: flag(),
  keepLocally: flag(),
  pullTriggers: setOf(text(), { replace: true }),
  triggers: mapOf(text(), { replace: true }),
  imageId: text({ outputOnly: true }),
  repoDigest: text({ outputOnly: true }),
};

/** The image if the daemon has it. */
export async function findImage(site: DockerSite, name: string): Promise<Image | undefined> {
  try {
    return await site.docker.call((client) => client.getImage(name).inspect());
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/**
 * The image, pulled only when the daemon has it not.
 * @throws Error with the registry's words when it cannot be pulled
 */
export async function ensureImage(
  site: DockerSite,
  context: CallContext,
  name: string,
  platform = "",
): Promise<Image> {
  const found = await findImage(site, name);
  if (found !== undefined) return found;
  // An id names something only where it is.
  if (name.startsWith("sha256:")) throw new Error(`unable to find image ${name}: an id cannot be pulled`);
  context.status(`Pulling ${name}`);
  try {
    await pull(site, name, platform, context);
  } catch (error) {
    throw new Error(
      `unable to pull image ${name}: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
  const pulled = await findImage(site, name);
  if (pulled === undefined) throw new Error(`unable to find or pull image ${name}`);
  return pulled;
}

async function pull(site: DockerSite, name: string, platform: string, context: CallContext): Promise<void> {
  const authconfig = site.logins.for(name);
  await site.docker.call(async (client) => {
    const stream = await client.pull(withTag(name), {
      abortSignal: context.signal,
      ...(platform === "" ? {} : { platform }),
      ...(authconfig === undefined ? {} : { authconfig }),
    });
    await finished(client, stream);
  });
}

/** Without tag and digest the daemon would fetch every tag there is. */
function withTag(name: string): string {
  const { tag, digest } = parseImageReference(name);
  return tag === undefined && digest === undefined ? `${name}:latest` : name;
}

function finished(client: Dockerode, stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    client.modem.followProgress(stream, (error: Error | null) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function outputs(known: ValueMap, name: string, image: Image): ValueMap {
  const digests = image.RepoDigests ?? [];
  const wanted = name.replace(/@.*$/, "").replace(/:[\w.-]+$/, "");
  const repoDigest = digests.find((digest) => digest.startsWith(`${wanted}@`)) ?? digests[0] ?? "";
  return { ...known, __meta: TIMEOUTS_META, id: image.Id + name, imageId: image.Id, repoDigest };
}

/** `docker:index/remoteImage:RemoteImage` */
export const remoteImage: ResourceHandler = {
  fields: FIELDS,
  deleteBeforeReplace: false,

  async create(site, context, inputs) {
    const name = readText(inputs, "name") ?? "";
    const image = await ensureImage(site, context, name, readText(inputs, "platform"));
    return { id: image.Id + name, outputs: outputs(outputsFromInputs(FIELDS, inputs), name, image) };
  },

  async read(site, _context, id, recorded) {
    // The id is the image's id and its name in one.
    const name = readText(recorded, "name") ?? id.replace(/^sha256:[0-9a-f]{64}/, "");
    const image = await findImage(site, name);
    if (image === undefined) return undefined;
    return { id: image.Id + name, outputs: outputs({ ...recorded, name }, name, image) };
  },

  async update(site, context, _id, oldOutputs, inputs) {
    const name = readText(inputs, "name") ?? "";
    const image = await ensureImage(site, context, name, readText(inputs, "platform"));
    return outputs(updatedOutputs(FIELDS, oldOutputs, inputs), name, image);
  },

  async delete(site, _context, _id, recorded) {
    if (readFlag(recorded, "keepLocally") === true) return;
    const name = readText(recorded, "name") ?? "";
    const force = readFlag(recorded, "forceRemove") ?? false;
    if ((await findImage(site, name)) === undefined) return;
    await site.docker.call((client) => client.getImage(name).remove({ force }));
  },
};
