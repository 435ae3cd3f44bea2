import { TailnetApi } from "../../../tailnet/api.ts";
import type { TailnetApiOptions } from "../../../tailnet/api.ts";
import type { ValueMap } from "../../values.ts";
import { checkInputs } from "../bridge/check.ts";
import { diffInputs } from "../bridge/diff.ts";
import { inputsFromOutputs, withoutMarks } from "../bridge/outputs.ts";
import { BridgedProvider, notKnown } from "../bridge/provider.ts";
import type { CallContext, DiffResult, Provider } from "../provider.ts";
import { deviceKey, deviceTags, getDevice } from "./device.ts";
import type { ResourceHandler } from "./handler.ts";
import { tailnetKey } from "./tailnet-key.ts";

const HANDLERS: Readonly<Record<string, ResourceHandler>> = {
  "tailscale:index/deviceKey:DeviceKey": deviceKey,
  "tailscale:index/deviceTags:DeviceTags": deviceTags,
  "tailscale:index/tailnetKey:TailnetKey": tailnetKey,
};

const GET_DEVICE = "tailscale:index/getDevice:getDevice";

/** A look-up stands between an operator and a preview, and the preview does without it: it is not tried for long. */
const LOOKUP = { requestSeconds: 5, retrySeconds: 3 } as const;

/** One configured tailscale provider: one OAuth client. Check, diff and preview ask nothing of the API. */
export class TailscaleProvider extends BridgedProvider<ResourceHandler> implements Provider {
  readonly #api: TailnetApi;

  constructor(options: TailnetApiOptions) {
    super(HANDLERS);
    this.#api = new TailnetApi(options);
  }

  check(context: CallContext, olds: ValueMap | undefined, news: ValueMap) {
    const { urn, type } = context;
    return Promise.resolve(checkInputs({ urn, type, fields: this.handlerOf(type).fields, olds, news }));
  }

  diff(
    context: CallContext,
    _id: string,
    oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult> {
    const { fields } = this.handlerOf(context.type);
    return Promise.resolve({
      ...diffInputs({ fields, oldInputs, oldOutputs, news }),
      deleteBeforeReplace: false,
    });
  }

  create(context: CallContext, inputs: ValueMap) {
    return this.handlerOf(context.type).create(this.#api.within({ signal: context.signal }), inputs);
  }

  async read(context: CallContext, id: string, inputs: ValueMap, outputs: ValueMap) {
    const handler = this.handlerOf(context.type);
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
    return this.handlerOf(context.type).update(
      this.#api.within({ signal: context.signal }),
      id,
      oldOutputs,
      news,
    );
  }

  delete(context: CallContext, id: string, _inputs: ValueMap, outputs: ValueMap): Promise<void> {
    return this.handlerOf(context.type).delete(this.#api.within({ signal: context.signal }), id, outputs);
  }

  invoke(token: string, args: ValueMap, signal: AbortSignal): Promise<ValueMap> {
    if (token !== GET_DEVICE) return Promise.reject(notKnown("function", token, [GET_DEVICE]));
    return getDevice(this.#api.within({ signal, ...LOOKUP }), args);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
