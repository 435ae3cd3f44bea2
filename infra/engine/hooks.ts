import grpc from "@grpc/grpc-js";
import callbackRpc from "@pulumi/pulumi/proto/callback_grpc_pb.js";
import callbackPb from "@pulumi/pulumi/proto/callback_pb.js";
import type { CallbackInvokeResponse } from "@pulumi/pulumi/proto/callback_pb.js";
import resourcePb from "@pulumi/pulumi/proto/resource_pb.js";
import type { RegisterResourceHookRequest } from "@pulumi/pulumi/proto/resource_pb.js";

import { EngineError } from "./engine-error.ts";
import type { HookType, Resource } from "./resource.ts";
import type { ValueMap } from "./values.ts";
import { encodeStruct } from "./wire.ts";

/** A function of the program that is called around a step. */
interface Hook {
  /** `host:port` of the program's callback server. */
  readonly target: string;
  readonly token: string;
  readonly onDryRun: boolean;
  readonly ignoreErrors: boolean;
}

/** What a hook is told; absent means that there is none, e.g. no old inputs at a creation. */
export interface HookValues {
  readonly newInputs?: ValueMap;
  readonly oldInputs?: ValueMap;
  readonly newOutputs?: ValueMap;
  readonly oldOutputs?: ValueMap;
}

/** The resource hooks that the program has registered, by name. */
export class Hooks {
  readonly #hooks = new Map<string, Hook>();
  readonly #clients = new Map<string, InstanceType<typeof callbackRpc.CallbacksClient>>();

  /** @throws EngineError on a name that is empty or taken. */
  register(request: RegisterResourceHookRequest): void {
    const name = request.getName();
    if (name === "") throw new EngineError("resource hook name cannot be empty");
    if (this.#hooks.has(name))
      throw new EngineError(`resource hook already registered for name ${JSON.stringify(name)}`);
    const callback = request.getCallback();
    this.#hooks.set(name, {
      target: callback?.getTarget() ?? "",
      token: callback?.getToken() ?? "",
      onDryRun: request.getOnDryRun(),
      ignoreErrors: request.getIgnoreErrors(),
    });
  }

  /**
   * Calls the hooks of one kind that a resource has, one after another.
   * @param warn - told of a failure of a hook that has `ignoreErrors`.
   * @throws EngineError when a hook fails or the program has not registered it.
   */
  async call(
    type: HookType,
    resource: Resource,
    values: HookValues,
    isPreview: boolean,
    warn: (message: string) => void,
  ): Promise<void> {
    for (const name of resource.hooks[type] ?? []) {
      const quoted = JSON.stringify(name);
      const hook = this.#hooks.get(name);
      if (hook === undefined) throw new EngineError(`hook ${quoted} was not registered`);
      if (isPreview && !hook.onDryRun) continue;
      const failure = await this.#invoke(hook, resource, values);
      if (failure === undefined) continue;
      if (!hook.ignoreErrors) {
        throw new EngineError(
          `${type.startsWith("Before") ? "before" : "after"} hook ${quoted} failed: ${failure}`,
        );
      }
      warn(`${type} hook ${quoted} failed: ${failure}`);
    }
  }

  /** Ends the connections to the program. */
  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  /** What the hook complained of; undefined when it did not. */
  async #invoke(hook: Hook, resource: Resource, values: HookValues): Promise<string | undefined> {
    const request = new resourcePb.ResourceHookRequest();
    request.setUrn(resource.urn);
    request.setId(resource.id);
    request.setName(resource.urn.split("::").at(-1) ?? "");
    request.setType(resource.type);
    if (values.newInputs !== undefined) request.setNewInputs(encodeStruct(values.newInputs));
    if (values.oldInputs !== undefined) request.setOldInputs(encodeStruct(values.oldInputs));
    if (values.newOutputs !== undefined) request.setNewOutputs(encodeStruct(values.newOutputs));
    if (values.oldOutputs !== undefined) request.setOldOutputs(encodeStruct(values.oldOutputs));
    const invocation = new callbackPb.CallbackInvokeRequest();
    invocation.setToken(hook.token);
    invocation.setRequest(request.serializeBinary());
    const client = this.#client(hook.target);
    const reply = await new Promise<CallbackInvokeResponse | string>((resolve) => {
      client.invoke(invocation, (error, response) => resolve(error === null ? response : error.message));
    });
    if (typeof reply === "string") return reply;
    const response = resourcePb.ResourceHookResponse.deserializeBinary(reply.getResponse_asU8());
    return response.getError() === "" ? undefined : response.getError();
  }

  #client(target: string): InstanceType<typeof callbackRpc.CallbacksClient> {
    let client = this.#clients.get(target);
    if (client === undefined) {
      client = new callbackRpc.CallbacksClient(target, grpc.credentials.createInsecure(), {
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
      });
      this.#clients.set(target, client);
    }
    return client;
  }
}
