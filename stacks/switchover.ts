import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";

/**
 * The declared switchover: changing `heatwave:primary` changes this command alone, and `pulumi up` then runs the very
 * runbook that `bin/recovery ENV flip-db` runs. It looks first: what is so already is only noted down
 * (docs/decisions/0016-declared-switchover.md).
 * @param cluster every resource that a switchover needs in its final state
 */
export function switchover(stack: string, primary: string, cluster: pulumi.Resource): local.Command {
  // Relative to the folder of `main`, where every engine runs it; no path of anybody's machine gets into the state.
  const ensure = `../bin/recovery ${stack} ensure-primary ${primary}`;
  return new local.Command(
    "switchover",
    // Its output is how the next one knows what this one found; a failed run leaves the one before.
    { create: ensure, update: ensure, logging: local.Logging.Stderr },
    { dependsOn: cluster },
  );
}
