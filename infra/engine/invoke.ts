import resourcePb from "@pulumi/pulumi/proto/resource_pb.js";
import type { ResourceInvokeRequest, ResourceInvokeResponse } from "@pulumi/pulumi/proto/resource_pb.js";

import { hashAssets } from "./assets.ts";
import { AbortedError, FunctionError } from "./engine-error.ts";
import { UnconfiguredProvider } from "./provider-registry.ts";
import type { Registrar } from "./registrar.ts";
import { messageOf } from "./run.ts";
import type { Run } from "./run.ts";
import { packageOf } from "./urn.ts";
import { withoutSecrets } from "./value-tools.ts";
import { decodeStruct, encodeStruct } from "./wire.ts";

/** Calls a provider's function, in previews too; the result is unknown while the provider cannot be configured. */
export async function invoke(
  run: Run,
  registrar: Registrar,
  request: ResourceInvokeRequest,
): Promise<ResourceInvokeResponse> {
  const token = request.getTok();
  const url = request.getPlugindownloadurl();
  const reference =
    request.getProvider() || (await registrar.defaultProvider(packageOf(token), request.getVersion(), url));
  const response = new resourcePb.ResourceInvokeResponse();
  const provider = await run.providers.get(reference);
  if (provider instanceof UnconfiguredProvider) {
    response.setUnknown(true);
    return response;
  }
  const args = await hashAssets(
    withoutSecrets(decodeStruct(request.getArgs())),
    run.options.programDirectory,
  );
  try {
    const result = await run.work(() =>
      provider.invoke(token, args, run.stopSignal, run.options.programDirectory),
    );
    response.setReturn(encodeStruct(result));
    return response;
  } catch (error) {
    if (error instanceof AbortedError) throw error;
    throw new FunctionError(`invocation of ${token} returned an error: ${messageOf(error)}`);
  }
}
