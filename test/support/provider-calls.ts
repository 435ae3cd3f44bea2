import { Secret } from "../../infra/engine/values.ts";
import type { ValueMap } from "../../infra/engine/values.ts";
import type { CallContext, Provider, ResourceState } from "../../infra/engine/providers/provider.ts";

/** The context of a call as the engine would make it; progress lines are kept in `said`. */
export function callContext(
  type: string,
  name: string,
  programDirectory = process.cwd(),
): CallContext & { readonly said: string[] } {
  const said: string[] = [];
  return {
    urn: `urn:pulumi:test::project::${type}::${name}`,
    type,
    programDirectory,
    timeoutSeconds: undefined,
    status: (message) => said.push(message),
    signal: new AbortController().signal,
    said,
  };
}

export interface Made extends ResourceState {
  readonly inputs: ValueMap;
}

/** Check and create, as the engine does for a new resource. */
export async function make(provider: Provider, context: CallContext, news: ValueMap): Promise<Made> {
  const inputs = await checked(provider, context, undefined, news);
  return { ...(await provider.create(context, inputs)), inputs };
}

/** @throws Error that lists the failures */
export async function checked(
  provider: Provider,
  context: CallContext,
  olds: ValueMap | undefined,
  news: ValueMap,
): Promise<ValueMap> {
  const { inputs, failures } = await provider.check(context, olds, news);
  if (failures.length > 0)
    throw new Error(failures.map((one) => `${one.property}: ${one.reason}`).join("\n"));
  return inputs;
}

export const secret = (value: string): Secret => new Secret(value);
