import { describe, expect, it } from "vitest";
import { checkConfig, checkSecrets } from "../../../components/pg-health/sidecar/config.ts";
import type { PgHealthConfig } from "../../../components/pg-health/sidecar/config.ts";

const address = (host: string, port: number) => ({ host, port });
const CONFIG: PgHealthConfig = {
  site: "dal-01",
  sites: [
    { name: "dal-01", health: address("100.123.47.52", 8008), postgres: address("100.123.47.52", 5432) },
    { name: "chi-02", health: address("100.68.157.49", 8008), postgres: address("100.68.157.49", 5432) },
  ],
};

describe("checkConfig", () => {
  it("fills in what is left out", () => {
    expect(checkConfig(CONFIG)).toEqual({
      ...CONFIG,
      listen: { host: "0.0.0.0", port: 8008 },
      postgres: {
        dataDirectory: "/var/lib/postgresql/18/docker",
        runDirectory: "/run/heatwave",
        port: 5432,
        database: "postgres",
        user: "heatwave_health",
        replicationUser: "heatwave_replication",
        baseBackupMaxRate: "",
      },
      pooler: undefined,
      limits: {
        probeMs: 1000,
        cacheMs: 100,
        peerMs: 2000,
        peerEveryMs: 2000,
        silenceMs: 60_000,
        poolerMs: 2000,
        poolerEveryMs: 5000,
        lookEveryMs: 1000,
        readinessLag: "1MB",
      },
      logLevel: "info",
    });
    expect(checkConfig({ ...CONFIG, pooler: { host: "heatwave-pgbouncer" } }).pooler).toEqual({
      host: "heatwave-pgbouncer",
      port: 6432,
      user: "heatwave_health",
      database: "heatwave_health",
      adminDatabase: "pgbouncer",
    });
  });

  const [dal, chi] = CONFIG.sites;
  it.each([
    ["not an object", [], "pg-health.json: [] is not an object"],
    [
      "an unknown key",
      { ...CONFIG, sitez: [] },
      "pg-health.json.sitez: unknown key; known are site, sites, listen",
    ],
    [
      "a site that is not listed",
      { ...CONFIG, site: "lon-09" },
      'pg-health.json.site: "lon-09" is none of the sites dal-01, chi-02',
    ],
    ["no sites", { ...CONFIG, sites: [] }, "pg-health.json.sites: [] is not a list with at least one entry"],
    ["a site twice", { ...CONFIG, sites: [dal, dal] }, "site dal-01 stands there twice"],
    [
      "a port out of range",
      { ...CONFIG, sites: [dal, { ...chi, health: address("h", 70_000) }] },
      "sites[1].health.port: 70000 is not a whole number from 1 to 65535",
    ],
    [
      "a host with a blank",
      { ...CONFIG, sites: [{ ...dal, postgres: address("a b", 1) }, chi] },
      'sites[0].postgres.host: "a b" does not match',
    ],
    [
      "a name that is no slot's",
      { ...CONFIG, sites: [{ ...dal, name: "DAL" }, chi] },
      'sites[0].name: "DAL" does not match',
    ],
    [
      "a relative directory",
      { ...CONFIG, postgres: { dataDirectory: "data" } },
      'postgres.dataDirectory: "data" does not match',
    ],
    ["a pooler without a host", { ...CONFIG, pooler: {} }, "pooler.host: nothing does not match"],
    [
      "a lag that is no size",
      { ...CONFIG, limits: { readinessLag: "much" } },
      'limits.readinessLag: "much" is no size',
    ],
    [
      "a limit of nothing",
      { ...CONFIG, limits: { probeMs: 0 } },
      "limits.probeMs: 0 is not a whole number from 50 to 60000",
    ],
    ["a log level", { ...CONFIG, logLevel: "loud" }, 'logLevel: "loud" does not match'],
  ])("fails for %s", (_name, config, message) => {
    expect(() => checkConfig(config)).toThrow(message);
  });
});

describe("checkSecrets", () => {
  it("takes both, and never says what they are", () => {
    const secrets = { healthPassword: "pw", peerSecret: "0123456789abcdef" };
    expect(checkSecrets(secrets)).toEqual(secrets);
    expect(() => checkSecrets({ ...secrets, peerSecret: "tooshort" })).toThrow(
      /^secrets.peerSecret: needs a text of at least 16 characters$/,
    );
    expect(() => checkSecrets(null)).toThrow("secrets.healthPassword");
  });
});
