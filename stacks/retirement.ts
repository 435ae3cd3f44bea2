import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";

/**
 * The declared retirement of a site: once the other sites' files name it no longer, its PostgreSQL is stopped, and its
 * slots and its place in their grants go. Pulumi deletes its containers after that, at the end of the same `up`.
 * @param rest everything else of the stack in its final state
 */
export function retirement(stack: string, site: string, rest: readonly pulumi.Resource[]): local.Command {
  const ensure = `../bin/recovery ${stack} ensure-retired ${site}`;
  return new local.Command(
    `${site}-retirement`,
    { create: ensure, update: ensure, logging: local.Logging.StdoutAndStderr },
    { dependsOn: [...rest] },
  );
}
