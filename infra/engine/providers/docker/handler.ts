import type { DockerHost } from "../../../hosts/docker.ts";
import type { ValueMap } from "../../values.ts";
import type { Fields } from "../bridge/field.ts";
import type { CallContext, ResourceState } from "../provider.ts";
import type { RegistryLogins } from "./registry-logins.ts";

/** What a resource's life needs besides its inputs. */
export interface DockerSite {
  readonly docker: DockerHost;
  readonly logins: RegistryLogins;
}

/** One resource type of the package. */
export interface ResourceHandler {
  readonly fields: Fields;
  /** The property that gets a generated name. */
  readonly nameProperty?: string;
  /** True: the old one must go first; "named": unless its name is a generated one. */
  readonly deleteBeforeReplace: boolean | "named";
  create(site: DockerSite, context: CallContext, inputs: ValueMap): Promise<ResourceState>;
  /**
   * What an interrupted creation left that began at `since` by the daemon's clock (ms since 1970), if it is whole;
   * what is half made is removed. Absent where the daemon's own creation adopts what is there.
   */
  recover?(
    site: DockerSite,
    context: CallContext,
    inputs: ValueMap,
    since: number,
  ): Promise<ResourceState | undefined>;
  /** undefined = gone. */
  read(
    site: DockerSite,
    context: CallContext,
    id: string,
    recorded: ValueMap,
  ): Promise<ResourceState | undefined>;
  update(
    site: DockerSite,
    context: CallContext,
    id: string,
    oldOutputs: ValueMap,
    inputs: ValueMap,
  ): Promise<ValueMap>;
  delete(site: DockerSite, context: CallContext, id: string, outputs: ValueMap): Promise<void>;
}
