import { describe, expect, it } from "vitest";
import type { ControlEnd } from "../../../infra/hosts/control-socket.ts";
import type { StackHost } from "../../../infra/hosts/stack-host.ts";
import { WRITE_MS, writeObjection } from "../../../infra/runbooks/execute/write-through.ts";
import type { WriteAsk } from "../../../infra/runbooks/execute/write-through.ts";
import type { Stack } from "../../../infra/runbooks/observe/observe.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { staging } from "../../support/topologies.ts";

const topology = buildTopology(staging());
const [first, second] = topology.routers;
const site = topology.sites[0];
if (first === undefined || second === undefined || site === undefined)
  throw new Error("staging has two routers");
const [write] = topology.listeners.filter(({ route }) => route === "write");

/** The stack, where these hosts cannot be reached. */
function stackWithout(...unreachable: readonly string[]): Stack {
  const hosts = new Map(
    topology.hosts.map(({ name }) => [
      name,
      {
        connect: () =>
          unreachable.includes(name) ? Promise.reject(new Error("no route")) : Promise.resolve(),
      } as unknown as StackHost,
    ]),
  );
  return { name: "staging", topology, config: staging(), hosts };
}

const took = (instance: string): ControlEnd => ({
  ok: true,
  message: `${instance} wrote`,
  value: { instance },
});

describe("a write through every router", () => {
  it("is asked of each one's write listener, and there is nothing to object when the site took them all", async () => {
    const asked: WriteAsk[] = [];
    const objection = await writeObjection(stackWithout(), site, (body) => {
      asked.push(body);
      return Promise.resolve(took(site.name));
    });
    expect(objection).toBeUndefined();
    expect(asked).toEqual(
      topology.routers.map(({ host, container }) => ({
        // A container does not reach a port that its own host publishes.
        host: host.name === site.host.name ? container : host.address,
        port: write?.port,
        limitMs: WRITE_MS,
      })),
    );
  });

  it.each<[string, ControlEnd, string]>([
    ["another instance took it", took("chi-stg"), "chi-stg took it"],
    [
      "it was refused",
      { ok: false, kind: "failed", message: "recovery is in progress" },
      "recovery is in progress",
    ],
    ["nobody knows who took it", { ok: true, message: "", value: undefined }, "nobody took it"],
  ])("names the router where %s", async (_what, end, why) => {
    const objection = await writeObjection(stackWithout(), site, ({ host }) =>
      Promise.resolve(host === second.host.address ? end : took(site.name)),
    );
    expect(objection).toBe(
      `a write through ${second.name}'s ${write?.name ?? ""} does not get there: ${why}`,
    );
  });

  it("leaves out a router whose host is gone, and a pg-health that cannot be asked this", async () => {
    const asked: string[] = [];
    const objection = await writeObjection(stackWithout(second.host.name), site, ({ host }) => {
      asked.push(host);
      return Promise.resolve({ ok: false, kind: "unknown", message: "no such route" });
    });
    expect(objection).toBeUndefined();
    expect(asked).toHaveLength(topology.routers.length - 1);
  });
});
