import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { renderPreparation } from "../../../components/conversion/render/preparation.ts";
import { planConversion } from "../../../infra/adoption/conversion.ts";
import { withAdopted, withConverted } from "../../../infra/adoption/stack-file.ts";
import { withPrimary } from "../../../infra/config/declared-primary.ts";
import { loadConfig } from "../../../infra/config/load.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import type { AdoptedIds } from "../../../infra/topology/places.ts";
import { placesOf, placeWords } from "../../../infra/topology/places.ts";

/** Production's stack, adopted: which of its sites is converted next, what of the file that changes, and what is refused. */

const shipped = readFileSync(join(import.meta.dirname, "../../../Pulumi.production.yaml"), "utf8");
const id = (digit: string): string => digit.repeat(64);
const IDS: AdoptedIds = {
  "dal-01": {
    "heatwave-postgres": id("1"),
    "heatwave-pgbouncer": id("2"),
    "heatwave-pg-health": id("3"),
    "heatwave-haproxy": id("4"),
  },
  "chi-02": {
    "heatwave-postgres-replica": id("5"),
    "heatwave-pgbouncer-replica": id("6"),
    "heatwave-pg-health-replica": id("7"),
  },
};
const secrets = {
  ...{ superuserPassword: "a placeholder", replicationPassword: "a placeholder" },
  ...{ healthPassword: "a placeholder", peerSecret: "a placeholder-at-least-sixteen" },
  roles: { heatwave: "it's: a\\placeholder" },
};

function configOf(text: string) {
  const { config } = parse(text) as { config: Record<string, unknown> };
  const plain = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace("heatwave:", ""), value]),
  );
  return loadConfig({ ...plain, secrets }, "Pulumi.production.yaml");
}
const convert = (text: string, site: string): string =>
  withConverted(text, planConversion("production", configOf(text), site));
const words = (text: string): readonly string[] => {
  const config = configOf(text);
  return placeWords(placesOf(buildTopology(config), config.adopted)).filter(
    (word) => !word.startsWith("host:"),
  );
};

const adopted = withAdopted(shipped, IDS);
const standbyDone = convert(adopted, "chi-02");
/** As the flip between the two conversions leaves it. */
const flipped = withPrimary(standbyDone, "chi-02") ?? "";

describe("a conversion", () => {
  it("takes the ids of the last standby's site and of the routers out, says that it is converted, and changes nothing else", () => {
    const { "heatwave-haproxy": _, ...dallas } = IDS["dal-01"] ?? {};
    expect(configOf(standbyDone).adopted).toEqual({ "dal-01": dallas });
    const changed = configOf(standbyDone).sites.map(({ name, converted }) => ({ name, converted }));
    expect(changed).toEqual([
      { name: "dal-01", converted: false },
      { name: "chi-02", converted: true },
    ]);
    const lines = standbyDone.split("\n").filter((line) => !adopted.split("\n").includes(line));
    expect(lines).toEqual(["      converted: true"]);
  });

  it("of a standby that is not the last one leaves the routers as they were found", () => {
    const sites = {
      adopted: configOf(adopted).adopted,
      primary: "dal-01",
      routers: configOf(adopted).routers,
    };
    const [dallas, chicago] = configOf(adopted).sites;
    if (dallas === undefined || chicago === undefined) throw new Error("production has two sites");
    const third = { ...chicago, name: "ord-03", host: "ord-03" };
    const ids = { ...IDS, "ord-03": IDS["chi-02"] ?? {} };
    const planned = planConversion(
      "production",
      { ...sites, adopted: ids, sites: [dallas, chicago, third] },
      "chi-02",
    );
    expect(planned).toMatchObject({ routers: [], last: false });
  });

  it("of the last site takes heatwave:adopted away", () => {
    const done = convert(flipped, "dal-01");
    expect(configOf(done).adopted).toBeUndefined();
    expect(configOf(done).sites.every(({ converted }) => converted)).toBe(true);
  });

  it("is told to the next `up` in words", () => {
    expect(words(adopted)).toEqual(["adopted:dal-01@dal-01", "adopted:chi-02@chi-02"]);
    expect(words(standbyDone)).toEqual(["adopted:dal-01@dal-01", "converted:chi-02@chi-02"]);
  });

  it.each<[string, string, string, RegExp]>([
    ["the primary before a standby", adopted, "dal-01", /dal-01 is heatwave:primary, and chi-02 still run/],
    [
      "the primary while it takes the writes",
      standbyDone,
      "dal-01",
      /its PostgreSQL would be stopped with the writes on it/,
    ],
    ["a site that is converted", standbyDone, "chi-02", /chi-02 does not run as it was found/],
    ["a site of a stack that was never adopted", shipped, "chi-02", /does not run as it was found/],
    ["a site that is none", adopted, "ord-03", /ord-03 is no site of the stack: dal-01, chi-02/],
  ])("is refused for %s", (_what, text, site, message) => {
    expect(() => convert(text, site)).toThrow(message);
  });
});

describe("a stack file between two states is refused", () => {
  interface File {
    "heatwave:adopted": Record<string, Record<string, string>>;
    "heatwave:sites": { converted?: boolean }[];
  }
  const edited = (edit: (config: File) => void, of = adopted): string => {
    const file = parse(of) as { config: File };
    edit(file.config);
    return JSON.stringify(file);
  };
  const convertedAt = (config: File, at: number): void =>
    void Object.assign(config["heatwave:sites"][at] ?? {}, { converted: true });
  it.each<[string, (config: File) => void, RegExp]>([
    [
      "a site without ids that is not said to be converted",
      (config) => delete config["heatwave:adopted"]["chi-02"],
      /the id of heatwave-postgres-replica as well/,
    ],
    [
      "a site of which a part is converted",
      (config) => {
        delete config["heatwave:adopted"]["chi-02"]?.["heatwave-postgres-replica"];
        convertedAt(config, 1);
      },
      /false while heatwave:adopted lists heatwave-pgbouncer-replica, heatwave-pg-health-replica/,
    ],
    [
      "the primary, while a standby runs as it was found",
      (config) => {
        config["heatwave:adopted"]["dal-01"] = { "heatwave-haproxy": id("4") };
        convertedAt(config, 0);
      },
      /false while other sites run as they were found: dal-01 is heatwave:primary/,
    ],
    [
      "a router before the last site",
      (config) => delete config["heatwave:adopted"]["dal-01"]?.["heatwave-haproxy"],
      /the id of heatwave-haproxy as well/,
    ],
  ])("%s", (_what, edit, message) => {
    expect(() => configOf(edited(edit))).toThrow(message);
  });

  it.each<[string, string, (config: File) => void, RegExp]>([
    [
      "a router that stays when the last standby is converted",
      standbyDone,
      (config) => Object.assign(config["heatwave:adopted"]["dal-01"] ?? {}, { "heatwave-haproxy": id("4") }),
      /no router, once one site alone runs as it was found/,
    ],
    [
      "ids when every site is converted",
      flipped,
      (config) => {
        config["heatwave:adopted"]["dal-01"] = {};
        convertedAt(config, 0);
      },
      /nothing, once every site is converted/,
    ],
  ])("%s", (_what, text, edit, message) => {
    expect(() => configOf(edited(edit, text))).toThrow(message);
  });
});

describe("what is done at the primary that was found", () => {
  const config = configOf(standbyDone);
  const topology = buildTopology(config);
  const { postgres } = config;
  const prepare = (routed: boolean): string =>
    renderPreparation({ topology, site: topology.sites[0]!, postgres, secrets: config.secrets, routed });
  const script = prepare(true);

  it("is our two roles, the standby's slot and its lines of pg_hba.conf", () => {
    expect(script).toContain("heatwave_chi_02");
    expect(script).toContain("host replication heatwave_replication 100.68.157.49/32 scram-sha-256");
    expect(script.match(/ALTER ROLE (\S+)/g)).toEqual([
      'ALTER ROLE "heatwave_replication"',
      'ALTER ROLE "heatwave_health"',
    ]);
  });

  it("tries what heatwave's routers will ask, where they come first", () => {
    expect(script).toContain("heatwave-pg-health does not answer 200 to GET / on port 8008");
    expect(script).toContain("heatwave-pgbouncer does not listen on port 6432");
    expect(prepare(false)).not.toContain("/dev/tcp");
  });

  it("tries the application's password, and never names it on a command line", () => {
    expect(script).toContain("*:*:*:*:it's\\: a\\\\placeholder\nEND-OF-PASSWORD");
  });
});
