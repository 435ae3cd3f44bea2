import { describe, expect, it } from "vitest";
import { renderHaproxyCfg } from "../../../components/router/render/haproxy-cfg.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { optionOf, parseHaproxyCfg, sectionOf, serversOf, valueOf } from "../../support/haproxy-config.ts";
import { production, staging } from "../../support/topologies.ts";

/** What the routing layer did before heatwave owned it, statement by statement. */

function rendered(config = production(), primary = config.primary) {
  const topology = buildTopology({ ...config, primary });
  const [router, ...others] = topology.routers;
  const text = renderHaproxyCfg(topology, router!, config.haproxy);
  const sections = parseHaproxyCfg(text);
  return { topology, others, text, sections };
}

describe("production's router, as the seed describes it", () => {
  const { topology, others, text, sections } = rendered();
  const primary = sectionOf(sections, "listen", "pg-primary");
  const stats = sectionOf(sections, "listen", "stats");
  const probe = sectionOf(sections, "backend", "pg-primary_probe");
  const [dallas, chicago] = serversOf(primary);

  it("is one HAProxy beside the app: heatwave-haproxy in Dallas", () => {
    expect(topology.routers[0]).toMatchObject({ name: "dal-01", container: "heatwave-haproxy" });
    expect(others).toEqual([]);
  });

  it("listens for PostgreSQL on 6433 as pg-primary", () => {
    expect(valueOf(sections, primary, "bind")).toMatch(/^:6433( |$)/);
  });

  it("is a TCP passthrough", () => {
    expect(valueOf(sections, primary, "mode")).toBe("tcp");
    expect(primary.lines.filter(([word]) => word === "http-request" || word === "http-response")).toEqual([]);
  });

  it("has one pool with both nodes", () => {
    expect(sections.filter(({ keyword }) => keyword === "listen").map(({ name }) => name)).toEqual([
      "pg-primary",
      "stats",
    ]);
    expect([dallas, chicago].map((server) => server?.name)).toEqual(["dal-01", "chi-02"]);
  });

  it("sends every connection to a node's PgBouncer on 6432", () => {
    expect(serversOf(primary).map(({ port }) => port)).toEqual([6432, 6432]);
  });

  it("asks pg-health on 8008", () => {
    expect(serversOf(probe).map(({ checkPort }) => checkPort)).toEqual([8008]);
    expect(chicago?.checkPort).toBe(8008);
  });

  it.each([
    ["pg-primary", primary],
    ["the probe of the local node", probe],
  ])("asks GET / and expects 200: %s", (_, section) => {
    expect(valueOf(sections, section, "option httpchk")).toBe("GET /");
    expect(valueOf(sections, section, "http-check expect")).toBe("status 200");
  });

  it.each([...serversOf(primary), ...serversOf(probe)])(
    "checks with inter 2s rise 2 fall 3: $address",
    (server) => {
      expect(["inter", "rise", "fall"].map((option) => optionOf(server, option))).toEqual(["2s", "2", "3"]);
    },
  );

  it.each(serversOf(primary))("shuts sessions down when $name is marked down", (server) => {
    expect(optionOf(server, "on-marked-down")).toBe("shutdown-sessions");
  });

  it("keeps idle clients and servers for 12 hours", () => {
    expect(valueOf(sections, primary, "timeout client")).toBe("12h");
    expect(valueOf(sections, primary, "timeout server")).toBe("12h");
    expect(valueOf(sections, primary, "timeout tunnel")).toBeUndefined();
  });

  it("reaches the local node by kamal DNS, tracking a probe", () => {
    expect(dallas).toMatchObject({
      address: "heatwave-pgbouncer",
      track: "pg-primary_probe/dal-01",
      check: false,
      resolvers: "docker",
    });
    expect(serversOf(probe)).toHaveLength(1);
    expect(serversOf(probe)[0]).toMatchObject({
      name: "dal-01",
      address: "heatwave-pg-health",
      check: true,
      track: undefined,
      resolvers: "docker",
    });
  });

  it("asks Docker's DNS for those names, IPv4 first", () => {
    expect(valueOf(sections, sectionOf(sections, "resolvers", "docker"), "nameserver dns")).toBe(
      "127.0.0.11:53",
    );
    for (const server of [dallas!, serversOf(probe)[0]!])
      expect(optionOf(server, "resolve-prefer")).toBe("ipv4");
  });

  it("starts when a name does not resolve", () => {
    for (const server of [dallas!, serversOf(probe)[0]!])
      expect(optionOf(server, "init-addr")).toMatch(/^last,libc,./);
  });

  it("reaches the remote node by its tailnet address", () => {
    expect(chicago).toMatchObject({
      address: "100.68.157.49",
      check: true,
      track: undefined,
      resolvers: undefined,
    });
  });

  it("never uses its own host's address, which it cannot reach", () => {
    expect(text).not.toContain("100.123.47.52");
  });

  it("gives no check another address than the server's: `check addr` takes no name", () => {
    for (const section of sections)
      for (const server of serversOf(section)) expect(server.options).not.toContain("addr");
  });

  it("shows stats at / on 8404", () => {
    expect(valueOf(sections, stats, "bind")).toBe(":8404");
    expect(valueOf(sections, stats, "mode")).toBe("http");
    expect(stats.lines).toContainEqual(["stats", "enable"]);
    expect(valueOf(sections, stats, "stats uri")).toBe("/");
  });

  it("serves /metrics on the same port", () => {
    expect(valueOf(sections, stats, "http-request use-service prometheus-exporter")).toBe(
      "if { path /metrics }",
    );
  });

  it("takes commands on a socket of level admin, for maint and shutdown sessions", () => {
    const socket = valueOf(sections, sectionOf(sections, "global"), "stats socket");
    expect(socket).toMatch(/^\/run\/haproxy\/admin\.sock /);
    expect(socket).toMatch(/ level admin$/);
  });

  it("lets no new connection through while two nodes say primary", () => {
    expect(valueOf(sections, primary, "tcp-request connection")).toBe("reject if { nbsrv(pg-primary) gt 1 }");
  });

  it("is the same whichever node is the primary: a flip edits nothing", () => {
    expect(rendered(production(), "chi-02").text).toBe(text);
  });
});

describe("staging's routers, as the seed describes it", () => {
  const { sections, others } = rendered(staging());
  const primary = sectionOf(sections, "listen", "pg-primary");

  it("is one HAProxy per app host", () => {
    expect(others.map(({ name }) => name)).toEqual(["app-stg-02"]);
  });

  it("reaches both nodes as remote ones: the app hosts stand apart", () => {
    expect(serversOf(primary).map(({ address, check, track }) => ({ address, check, track }))).toEqual([
      { address: "100.101.10.11", check: true, track: undefined },
      { address: "100.101.10.12", check: true, track: undefined },
    ]);
    expect(sections.filter(({ keyword }) => keyword === "resolvers" || keyword === "backend")).toEqual([]);
  });
});
