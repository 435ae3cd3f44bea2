import type { Topology } from "../../infra/topology/model.ts";
import type { Rehearsal } from "./rehearsal.ts";

/** Folder of the state in a world's controller, in the layout of Pulumi's file backend. */
export const STATE = "/var/lib/heatwave-state/.pulumi";

/** Bare hosts and no state, as before the first `up`: containers, volumes and heatwave's folders are gone. */
export async function makeBare(world: Rehearsal, topology: Topology): Promise<void> {
  const { network } = topology;
  await Promise.all(
    topology.hosts.map(({ name, root }) =>
      world.host(
        name,
        [
          "docker ps -aq | xargs -r docker rm -f >/dev/null",
          "docker volume ls -q | xargs -r docker volume rm -f >/dev/null",
          // One that somebody else makes was there before.
          network.external ? ":" : `docker network rm ${network.name} >/dev/null 2>&1`,
          `rm -rf ${root}`,
        ].join("; "),
      ),
    ),
  );
  await world.controller(`rm -rf ${STATE}/stacks ${STATE}/locks`);
}
