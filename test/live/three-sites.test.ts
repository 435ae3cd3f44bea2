import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { Rehearsal } from "../support/rehearsal.ts";
import { behavesLikeAStack, inWorld, topologyOf } from "../support/world-suite.ts";

const configFile = "examples/Pulumi.three-sites.yaml";
const world = new Rehearsal("three-sites", { configFile });
const topology = topologyOf("three-sites", join(import.meta.dirname, "../../examples"));

describe("three sites, two app hosts, all three kinds of listener, a network of our own", () => {
  inWorld(world);
  behavesLikeAStack(world, topology);

  it.each(topology.routers.map(({ name }) => name))(
    "%s routes reads to standbys and any to every site",
    async (router) => {
      const password = (
        JSON.parse(await world.controller("cat /etc/heatwave/overlay.json")) as {
          secrets: { roles: Record<string, string> };
        }
      ).secrets.roles["app"];
      const image = await world.host(
        "fra-01",
        "docker ps --filter name=heatwave-postgres --format '{{.Image}}'",
      );
      const answers = async (port: number): Promise<string[]> => {
        // Twelve new connections, as an app container on the router's network would open them.
        const client =
          `docker run -i --rm --network heatwave --entrypoint sh ${image.trim()} -c ` +
          `"IFS= read -r PGPASSWORD; export PGPASSWORD; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do psql -h heatwave-haproxy -p ${port} -U app -d app -XAtc 'show cluster_name'; done"`;
        return (await world.host(router, client, `${password ?? ""}\n`)).trim().split("\n");
      };
      const distinct = async (port: number): Promise<string[]> =>
        [...new Set(await answers(port))].toSorted();
      await vi.waitFor(async () => expect(await distinct(6433)).toEqual(["ams"]), {
        timeout: 20_000,
        interval: 500,
      });
      await vi.waitFor(async () => expect(await distinct(6434)).toEqual(["fra", "sto"]), {
        timeout: 20_000,
        interval: 500,
      });
      await vi.waitFor(async () => expect(await distinct(6435)).toEqual(["ams", "fra", "sto"]), {
        timeout: 20_000,
        interval: 500,
      });
    },
  );
});
