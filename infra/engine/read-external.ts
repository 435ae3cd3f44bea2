import type { ReadResourceRequest } from "@pulumi/pulumi/proto/resource_pb.js";

import { EngineError } from "./engine-error.ts";
import type { Step } from "./events.ts";
import * as calls from "./provider-calls.ts";
import type { Registrar } from "./registrar.ts";
import { emptyResource } from "./resource.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { UNKNOWNS } from "./signatures.ts";
import { makeUrn } from "./urn.ts";
import { decodeStruct } from "./wire.ts";

/** Looks up a resource that the stack does not own (`X.get`); it is read in previews too. */
export async function readExternal(
  run: Run,
  registrar: Registrar,
  request: ReadResourceRequest,
): Promise<Resource> {
  const { stack, project } = run.options;
  const type = request.getType();
  const urn = makeUrn(stack, project, request.getParent(), type, request.getName());
  const old = registrar.takeOld(urn);
  const properties = decodeStruct(request.getProperties());
  const wanted: Resource = {
    ...emptyResource(urn, type, true),
    id: request.getId(),
    external: true,
    parent: request.getParent(),
    dependencies: request.getDependenciesList(),
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    provider: await registrar.providerReference(
      type,
      request.getProvider(),
      request.getParent(),
      request.getVersion(),
      request.getPlugindownloadurl(),
    ),
  };
  if (run.options.preview && UNKNOWNS.has(wanted.id)) return wanted;
  const provider = await run.providers.get(wanted.provider);
  const owned = old !== undefined && !old.external;
  const step: Step = {
    operation: owned ? "read-replacement" : "read",
    urn,
    type,
    provider: wanted.provider,
    before: old,
    after: wanted,
    changedKeys: [],
    replaceKeys: [],
    detailedDiff: undefined,
    hidden: false,
    part: false,
  };
  const after = await run.step(step, async () => {
    const found = await calls.read(run, provider, { ...wanted, inputs: {}, outputs: properties });
    if (found === undefined) throw new EngineError(`resource '${wanted.id}' does not exist`);
    const read = { ...found, inputs: {} };
    if (owned) await run.journal.supersede(read, old, { ...old, delete: true });
    else await run.journal.record(read, old);
    return read;
  });
  return after ?? wanted;
}
