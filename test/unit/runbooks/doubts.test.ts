import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { doubt, DOUBTFUL_MS } from "../../../infra/runbooks/observe/doubts.ts";
import type { Topology } from "../../../infra/topology/model.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { production } from "../../support/topologies.ts";

/** A pg-health that answers, and one that takes a connection and says nothing. */
const answers = createServer((request, response) => {
  response.end(request.url === "/" ? "standby" : "{}");
});
const mute = createServer(() => undefined);
let topology: Topology;

beforeAll(async () => {
  const listen = (server: typeof mute) =>
    new Promise<number>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
    );
  const ports = [await listen(answers), await listen(mute)];
  const built = buildTopology(production());
  topology = {
    ...built,
    sites: built.sites.map((site, n) => ({
      ...site,
      host: { ...site.host, address: "127.0.0.1" },
      pgHealth: { ...site.pgHealth, port: ports[n] ?? 0 },
    })),
  };
});
afterAll(() => {
  for (const server of [answers, mute]) {
    server.closeAllConnections();
    server.close();
  }
});

const never = { connect: () => new Promise<void>(() => undefined) };

test("who is back is told, and whoever is silent is given up after a moment", async () => {
  const hosts = new Map([
    ["dal-01", { connect: () => Promise.resolve() }],
    ["chi-02", never],
  ]);
  const began = performance.now();
  const { logins, heard } = doubt({ topology, hosts }, new Set(["dal-01", "chi-02"]));
  expect(await logins.get("dal-01")).toBeNull();
  expect(await heard.get("dal-01")).toEqual({ word: "standby", status: "{}" });
  expect(await logins.get("chi-02")).toMatch(/^no answer within 0.3 s/);
  expect(await heard.get("chi-02")).toEqual({ word: null, status: null });
  expect(performance.now() - began).toBeLessThan(DOUBTFUL_MS * 3);
});

test("a host that was not silent is not asked", () => {
  const { logins, heard } = doubt({ topology, hosts: new Map([["dal-01", never]]) }, new Set(["chi-02"]));
  expect([...logins.keys()]).toEqual([]);
  expect([...heard.keys()]).toEqual(["chi-02"]);
});
