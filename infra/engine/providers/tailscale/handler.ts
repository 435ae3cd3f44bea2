import type { TailnetApi } from "../../../tailnet/api.ts";
import type { ValueMap } from "../../values.ts";
import type { Fields } from "../bridge/field.ts";
import type { ResourceState } from "../provider.ts";

/** One resource type of the package. */
export interface ResourceHandler {
  readonly fields: Fields;
  create(api: TailnetApi, inputs: ValueMap): Promise<ResourceState>;
  /** undefined = gone. */
  read(api: TailnetApi, id: string, recorded: ValueMap): Promise<ResourceState | undefined>;
  update(api: TailnetApi, id: string, oldOutputs: ValueMap, inputs: ValueMap): Promise<ValueMap>;
  delete(api: TailnetApi, id: string, outputs: ValueMap): Promise<void>;
}
