import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig, loadStackFile, rawFromPulumi } from "../../../infra/config/load.ts";
import { configOf, readProject, readStackFile } from "../../../infra/engine/stack-file.ts";
import { openCrypter, WrongPassphraseError } from "../../../infra/engine/secrets.ts";
import { buildTopology, endpointsOf } from "../../../infra/topology/model.ts";

const ROOT = new URL("../../../", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, ROOT), "utf8");
const folder = new URL(".", ROOT).pathname;

describe("Pulumi.production.yaml", () => {
  const config = loadStackFile(folder, "production");
  const topology = buildTopology(config);

  it("has production's sites at production's addresses", () => {
    expect(config.primary).toBe("dal-01");
    expect(topology.sites.map(({ name, host }) => [name, host.address])).toEqual([
      ["dal-01", "100.123.47.52"],
      ["chi-02", "100.68.157.49"],
    ]);
    expect(config.network).toEqual({ name: "kamal", external: true });
  });

  it("keeps the containers' names and ports", () => {
    expect(
      topology.sites.map(({ postgres, pgbouncer, pgHealth }) =>
        [postgres, pgbouncer, pgHealth].map(({ container, port }) => `${container}:${port}`),
      ),
    ).toEqual([
      ["heatwave-postgres:5432", "heatwave-pgbouncer:6432", "heatwave-pg-health:8008"],
      [
        "heatwave-postgres-replica:5432",
        "heatwave-pgbouncer-replica:6432",
        "heatwave-pg-health-replica:8008",
      ],
    ]);
  });

  it("has one write VIP, checked every 2 s, up after 2 and down after 3 checks, idle for 12 h", () => {
    expect(topology.routers.map(({ name, container, statsPort }) => [name, container, statsPort])).toEqual([
      ["dal-01", "heatwave-haproxy", 8404],
    ]);
    expect(topology.listeners).toEqual([{ name: "pg-primary", port: 6433, route: "write" }]);
    expect(config.haproxy.check).toEqual({ inter: "2s", rise: 2, fall: 3 });
    expect(config.haproxy.timeouts).toMatchObject({ client: "12h", server: "12h" });
    expect(config.pgbouncer.poolMode).toBe("session");
  });

  it("reaches Dallas by name, where the router is, and Chicago by address", () => {
    expect(endpointsOf(topology, topology.routers[0]!).map(({ pooler, health }) => [pooler, health])).toEqual(
      [
        [
          { address: "heatwave-pgbouncer", port: 6432 },
          { address: "heatwave-pg-health", port: 8008 },
        ],
        [
          { address: "100.68.157.49", port: 6432 },
          { address: "100.68.157.49", port: 8008 },
        ],
      ],
    );
  });
});

describe("Pulumi.staging.yaml", () => {
  it("has the same shape, with its app hosts apart from the sites", () => {
    const topology = buildTopology(loadStackFile(folder, "staging"));
    expect(topology.sites).toHaveLength(2);
    expect(topology.routers.map(({ name }) => name)).toEqual(["app-stg-01", "app-stg-02"]);
    for (const router of topology.routers) {
      expect(endpointsOf(topology, router).every(({ local }) => !local)).toBe(true);
    }
  });

  it("shares no address, host key, database or ciphertext with production", () => {
    const [production, staging] = (["production", "staging"] as const).map((stack) => {
      const { hosts, postgres } = loadStackFile(folder, stack);
      const ciphers = read(`Pulumi.${stack}.yaml`).match(/v1:\S+/g)!;
      return [
        ...Object.values(hosts).flatMap(({ address, ssh }) => [address, ssh.hostKey]),
        ...postgres.databases.map(({ name }) => name),
        ...ciphers,
      ];
    });
    expect(production!.filter((value) => staging!.includes(value))).toEqual([]);
  });
});

describe.each(["production", "staging"])("the example secrets of %s", (stack) => {
  it("open with the passphrase that the decision names, and with no other", async () => {
    expect(read("docs/decisions/0003-example-secrets.md")).toContain("`heatwave-example`");
    const project = readProject(folder);
    const file = readStackFile(project, stack);
    const crypter = await openCrypter("heatwave-example", file.encryptionSalt!);
    const opened = configOf(file, project, (ciphertext) => crypter.decrypt(ciphertext));

    const loaded = loadConfig(rawFromPulumi(opened.values), stack);
    const { roles, ...own } = loaded.secrets;
    const texts = [...Object.values(own), ...Object.values(roles)].filter((text) => text !== undefined);
    expect(texts).toHaveLength(5);
    expect(new Set(texts).size).toBe(5);
    for (const text of texts) expect(text.length).toBeGreaterThanOrEqual(16);
    expect(opened.secretKeys).toEqual(["heatwave:secrets"]);

    // What a program sees is what the file says, but for the passwords.
    const { secrets: _, ...fromFile } = loadStackFile(folder, stack);
    expect(loaded).toMatchObject(fromFile);
    await expect(openCrypter("heatwave-exampl", file.encryptionSalt!)).rejects.toThrow(WrongPassphraseError);
  });
});

describe("Pulumi.yaml", () => {
  const project = parse(read("Pulumi.yaml")) as Record<string, unknown>;

  it("is the project that the keys' namespace names, with a program that exists", () => {
    expect(project["name"]).toBe("heatwave");
    expect(read(project["main"] as string)).toContain("loadConfig");
  });

  it("keeps Docker's default provider off, in the form that the Pulumi CLI takes for other namespaces", () => {
    // A key of another namespace may have a `value` and nothing else; ours are declared by the schema alone.
    expect(project["config"]).toEqual({ "pulumi:disable-default-providers": { value: ["docker"] } });
  });
});
