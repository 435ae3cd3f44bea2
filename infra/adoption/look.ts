import type { StackHost } from "../hosts/stack-host.ts";
import type { Topology } from "../topology/model.ts";
import type { HostFound } from "./found.ts";
import { LOOK_SCRIPT, readFound } from "./found.ts";

/** Seconds for each question to a host's Docker daemon, and for all of them. */
const QUESTION_SECONDS = 10;
const LOOK_SECONDS = 60;

/** Looks at every host at once, and changes nothing. One that does not answer costs its own row alone. */
export function lookAtHosts(
  topology: Topology,
  hosts: ReadonlyMap<string, StackHost>,
): Promise<readonly HostFound[]> {
  return Promise.all(topology.hosts.map(({ name }) => lookAt(topology, name, hosts.get(name))));
}

async function lookAt(topology: Topology, name: string, host: StackHost | undefined): Promise<HostFound> {
  const nothing = { host: name, containers: [], volumes: [], network: false };
  if (host === undefined) return { ...nothing, unreachable: "there is no connection to it" };
  const sites = topology.sites.filter((site) => site.host.name === name);
  const volumes = sites.map(({ volume }) => volume);
  const containers = [
    ...sites.flatMap((site) => [site.postgres, site.pgbouncer, site.pgHealth]),
    ...topology.routers.filter((router) => router.host.name === name),
  ].map(({ container }) => container);
  try {
    const { exitCode, stdout, stderr } = await host.run(
      LOOK_SCRIPT,
      [String(QUESTION_SECONDS), topology.network.name, String(volumes.length), ...volumes, ...containers],
      { seconds: LOOK_SECONDS },
    );
    if (exitCode === 0) return readFound(name, stdout);
    return { ...nothing, unreachable: stderr.trim().split("\n").at(-1) ?? `status ${exitCode}` };
  } catch (error) {
    return { ...nothing, unreachable: (error as Error).message };
  }
}
