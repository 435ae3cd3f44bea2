import { DockerHost } from "../../../hosts/docker.ts";
import type { ValueMap } from "../../values.ts";
import { checkInputs } from "../bridge/check.ts";
import { diffInputs } from "../bridge/diff.ts";
import { inputsFromOutputs, withoutMarks } from "../bridge/outputs.ts";
import { BridgedProvider, notKnown } from "../bridge/provider.ts";
import type { CallContext, DiffResult, Provider } from "../provider.ts";
import type { DockerConfig } from "./config.ts";
import { container } from "./container.ts";
import type { DockerSite, ResourceHandler } from "./handler.ts";
import { remoteImage } from "./image.ts";
import { getNetwork, network } from "./network.ts";
import { RegistryLogins } from "./registry-logins.ts";
import { DEFAULT_TIMEOUT_SECONDS } from "./timeouts.ts";
import { volume } from "./volume.ts";

const HANDLERS: Readonly<Record<string, ResourceHandler>> = {
  "docker:index/container:Container": container,
  "docker:index/network:Network": network,
  "docker:index/volume:Volume": volume,
  "docker:index/remoteImage:RemoteImage": remoteImage,
};

const GET_NETWORK = "docker:index/getNetwork:getNetwork";

/** Between the note that a creation begins and the daemon's stamp on what it makes, for clocks and round trips. */
const CLOCK_TOLERANCE_MS = 2000;

/** One configured docker provider: one daemon. */
export class DockerProvider extends BridgedProvider<ResourceHandler> implements Provider {
  readonly #config: DockerConfig;
  readonly #logins: RegistryLogins;
  #docker: DockerHost | undefined;

  constructor(config: DockerConfig) {
    super(HANDLERS);
    this.#config = config;
    this.#logins = new RegistryLogins(config.registryAuth);
  }

  /** @throws Error when the daemon does not answer */
  async checkDaemon(): Promise<void> {
    const { docker } = this.#site();
    try {
      await docker.ping();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`failed to connect to any docker daemon: ${why}`, { cause: error });
    }
  }

  check(context: CallContext, olds: ValueMap | undefined, news: ValueMap) {
    const { fields, nameProperty } = this.handlerOf(context.type);
    const { urn, type } = context;
    return Promise.resolve(
      checkInputs({ urn, type, fields, olds, news, ...(nameProperty === undefined ? {} : { nameProperty }) }),
    );
  }

  diff(
    context: CallContext,
    _id: string,
    oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult> {
    const handler = this.handlerOf(context.type);
    const result = diffInputs({ fields: handler.fields, oldInputs, oldOutputs, news });
    const deleteBeforeReplace = result.replaces.length > 0 && oldGoesFirst(handler, news);
    return Promise.resolve({ ...result, deleteBeforeReplace });
  }

  async create(context: CallContext, inputs: ValueMap) {
    return inTime(context, (limited) => this.handlerOf(context.type).create(this.#site(), limited, inputs));
  }

  async recover(context: CallContext, inputs: ValueMap, since: Date) {
    const handler = this.handlerOf(context.type);
    if (handler.recover === undefined) return undefined;
    const recover = handler.recover.bind(handler);
    const site = this.#site();
    const info = (await site.docker.call((client) => client.info())) as { readonly SystemTime?: string };
    // The host's clock may differ from this machine's.
    const offset = Date.parse(info.SystemTime ?? "") - Date.now();
    const began = since.getTime() + (Number.isNaN(offset) ? 0 : offset) - CLOCK_TOLERANCE_MS;
    return inTime(context, (limited) => recover(site, limited, inputs, began));
  }

  async read(context: CallContext, id: string, inputs: ValueMap, outputs: ValueMap) {
    const handler = this.handlerOf(context.type);
    const found = await handler.read(this.#site(), context, id, withoutMarks({ ...inputs, ...outputs }));
    if (found === undefined) return undefined;
    return { ...found, inputs: inputsFromOutputs(handler.fields, inputs, found.outputs) };
  }

  async update(
    context: CallContext,
    id: string,
    _oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    const handler = this.handlerOf(context.type);
    return inTime(context, (limited) => handler.update(this.#site(), limited, id, oldOutputs, news));
  }

  async delete(context: CallContext, id: string, inputs: ValueMap, outputs: ValueMap): Promise<void> {
    const handler = this.handlerOf(context.type);
    await inTime(context, (limited) => handler.delete(this.#site(), limited, id, { ...inputs, ...outputs }));
  }

  async invoke(token: string, args: ValueMap): Promise<ValueMap> {
    if (token !== GET_NETWORK) throw notKnown("function", token, [GET_NETWORK]);
    return getNetwork(this.#site(), args);
  }

  async close(): Promise<void> {
    await this.#docker?.close();
  }

  /** Connects on first use, so that a preview without need of the daemon never asks for it. */
  #site(): DockerSite {
    if (this.#config.host === undefined) {
      throw new Error("the docker provider's host is not known yet; it must be a plain value");
    }
    this.#docker ??= new DockerHost(this.#config.host, { sshOptions: this.#config.sshOptions });
    return { docker: this.#docker, logins: this.#logins };
  }
}

/**
 * Gives a step its time limit. What it began on the daemon may still happen after.
 * @throws Error when the time is over
 */
async function inTime<Result>(
  context: CallContext,
  step: (limited: CallContext) => Promise<Result>,
): Promise<Result> {
  const seconds = context.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
  const limit = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`not finished after ${seconds} s; customTimeouts gives it more`);
      limit.abort(error);
      reject(error);
    }, seconds * 1000);
  });
  try {
    const signal = AbortSignal.any([context.signal, limit.signal]);
    return await Promise.race([step({ ...context, signal }), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Two resources cannot share an explicit name; a generated one is new each time. */
function oldGoesFirst(handler: ResourceHandler, news: ValueMap): boolean {
  if (handler.deleteBeforeReplace !== "named") return handler.deleteBeforeReplace;
  const generated = news["__defaults"];
  return !(Array.isArray(generated) && generated.includes("name"));
}
