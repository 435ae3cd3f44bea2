import { TailnetApi } from "../../../tailnet/api.ts";
import type { TailnetApiOptions } from "../../../tailnet/api.ts";
import type { ValueMap } from "../../values.ts";
import { checkInputs } from "../bridge/check.ts";
import { diffInputs } from "../bridge/diff.ts";
import { inputsFromOutputs, previewOutputs, updatedOutputs, withoutMarks } from "../bridge/outputs.ts";
import type { CallContext, DiffResult, Provider } from "../provider.ts";
import { deviceKey, deviceTags, getDevice } from "./device.ts";
import type { ResourceHandler } from "./handler.ts";
import { tailnetKey } from "./tailnet-key.ts";

const HANDLERS: Readonly<Record<string, ResourceHandler>> = {
  "tailscale:index/deviceKey:DeviceKey": deviceKey,
  "tailscale:index/deviceTags:DeviceTags": deviceTags,
  "tailscale:index/tailnetKey:TailnetKey": tailnetKey,
};

/** A look-up stands between an operator and a preview, and the preview does without it: it is not tried for long. */
const LOOKUP = { requestSeconds: 5, retrySeconds: 3 } as const;

function handlerOf(type: string): ResourceHandler {
  const handler = HANDLERS[type];
  if (handler === undefined) {
    throw new Error(
      `resource type ${type} is not known to the embedded engine; known of this package: ${Object.keys(HANDLERS).join(", ")}`,
    );
  }
  return handler;
}

/** One configured tailscale provider: one OAuth client. Check, diff and preview ask nothing of the API. */
export class TailscaleProvider implements Provider {
  readonly acceptSecrets = false;
  readonly #api: TailnetApi;

  constructor(options: TailnetApiOptions) {
    this.#api = new TailnetApi(options);
  }

  check(context: CallContext, olds: ValueMap | undefined, news: ValueMap) {
    const { urn, type } = context;
    return Promise.resolve(checkInputs({ urn, type, fields: handlerOf(type).fields, olds, news }));
  }

  diff(
    context: CallContext,
    _id: string,
    oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult> {
    const { fields } = handlerOf(context.type);
    return Promise.resolve({
      ...diffInputs({ fields, oldInputs, oldOutputs, news }),
      deleteBeforeReplace: false,
    });
  }

  previewCreate(context: CallContext, inputs: ValueMap): Promise<ValueMap> {
    return Promise.resolve(previewOutputs(handlerOf(context.type).fields, inputs));
  }

  previewUpdate(
    context: CallContext,
    _id: string,
    _oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return Promise.resolve(updatedOutputs(handlerOf(context.type).fields, oldOutputs, news));
  }

  create(context: CallContext, inputs: ValueMap) {
    return handlerOf(context.type).create(this.#api.within({ signal: context.signal }), inputs);
  }

  async read(context: CallContext, id: string, inputs: ValueMap, outputs: ValueMap) {
    const handler = handlerOf(context.type);
    const found = await handler.read(
      this.#api.within({ signal: context.signal }),
      id,
      withoutMarks({ ...inputs, ...outputs }),
    );
    if (found === undefined) return undefined;
    return { ...found, inputs: inputsFromOutputs(handler.fields, inputs, found.outputs) };
  }

  update(
    context: CallContext,
    id: string,
    _oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return handlerOf(context.type).update(this.#api.within({ signal: context.signal }), id, oldOutputs, news);
  }

  delete(context: CallContext, id: string, _inputs: ValueMap, outputs: ValueMap): Promise<void> {
    return handlerOf(context.type).delete(this.#api.within({ signal: context.signal }), id, outputs);
  }

  invoke(token: string, args: ValueMap, signal: AbortSignal): Promise<ValueMap> {
    if (token !== "tailscale:index/getDevice:getDevice") {
      return Promise.reject(
        new Error(
          `function ${token} is not known to the embedded engine; known of this package: tailscale:index/getDevice:getDevice`,
        ),
      );
    }
    return getDevice(this.#api.within({ signal, ...LOOKUP }), args);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
