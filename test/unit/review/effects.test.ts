import { describe, expect, test } from "vitest";
import type { HandMade } from "./previews.ts";
import {
  COMMAND,
  CONFIG,
  CONTAINER,
  fileStep,
  HEALTH,
  HOST,
  onlyFinding,
  POOLER,
  POSTGRES,
  reviewOf,
  ROUTER,
} from "./previews.ts";

const container = (types: string, name: string, rest: Partial<HandMade>): HandMade => ({
  types: `${types}$${CONTAINER}`,
  name,
  before: { image: "a" },
  after: { image: "b" },
  ...rest,
});
const image = { op: "replace", changed: ["image"], replacing: ["image"] } as const;

describe("what nothing is known about is unknown, never harmless", () => {
  const cases: Readonly<Record<string, HandMade>> = {
    "a resource type": {
      types: "tailscale:index/acl:Acl",
      name: "acl",
      before: {},
      after: {},
      changed: ["acl"],
    },
    "a command": {
      types: `${POSTGRES}$${COMMAND}`,
      name: "dal-01-site-postgres-x",
      before: { create: "true" },
      after: { create: "rm -rf /" },
      changed: ["create"],
    },
    "a kind of file": fileStep("crontab", "conf/crontab", "a", "b"),
    "a kind of secret": {
      types: `${POSTGRES}$${COMMAND}`,
      name: "dal-01-site-postgres-x",
      before: { create: "/x/bin/host-tool secret token c f 1:1", stdin: "[secret]" },
      after: { create: "/x/bin/host-tool secret token c f 1:1", stdin: "[secret]" },
      changed: ["stdin"],
    },
    "a container of no box": container("x:y:Z", "other", image),
    "a container that changes in place": container(POSTGRES, "dal-01-site-postgres", { changed: ["mounts"] }),
    "an operation": container(POSTGRES, "dal-01-site-postgres", { op: "conjure" }),
    "a volume of another name": {
      types: `${POSTGRES}$docker:index/volume:Volume`,
      name: "dal-01-site-postgres-data",
      op: "replace",
      before: { name: "a" },
      after: { name: "b" },
      changed: ["name"],
    },
    "a volume that is deleted with its data": {
      types: `${POSTGRES}$docker:index/volume:Volume`,
      name: "dal-01-site-postgres-data",
      op: "delete",
      before: { name: "a" },
    },
    "a network below the containers": {
      types: `${HOST}$docker:index/network:Network`,
      name: "dal-01-network",
      before: {},
      after: {},
      changed: ["driver"],
    },
    "another address of a host": {
      types: `${HOST}$pulumi:providers:docker`,
      name: "dal-01",
      before: { host: "ssh://deploy@100.64.0.1:22" },
      after: { host: "ssh://deploy@100.64.0.2:22" },
      changed: ["host"],
    },
    "a command for a deletion": {
      types: `${POSTGRES}$${COMMAND}`,
      name: "dal-01-site-postgres-x",
      op: "delete",
      before: { create: "true", delete: "rm -rf /" },
    },
  };

  test.for(Object.entries(cases))("%s", ([, step]) => {
    expect(onlyFinding(step)).toMatchObject({ effect: "unknown", writes: "unknown" });
    expect(reviewOf([step]).writes).toBe("unknown");
  });

  test("a preview that failed", () => {
    const made = reviewOf([], { diagnostics: [{ severity: "error", message: "no such host key" }] });
    expect(made).toMatchObject({ isComplete: false, writes: "unknown" });
  });

  test("who is primary, where the preview does not say", () => {
    const step = container(POOLER, "dal-01-site-pgbouncer", image);
    expect(reviewOf([step], { config: {} }).places).toMatchObject([
      { place: { kind: "site", name: "dal-01" }, writes: "unknown" },
    ]);
  });
});

describe("a container that is replaced", () => {
  const writes = (types: string, name: string) => onlyFinding(container(types, name, image)).writes;

  test("of PostgreSQL goes at the standby and is refused at the primary", () => {
    expect(writes(POSTGRES, "chi-02-site-postgres")).toBe("nothing");
    expect(writes(POSTGRES, "dal-01-site-postgres")).toBe("refused");
    expect(reviewOf([container(POSTGRES, "dal-01-site-postgres", image)]).afterwards).toEqual([
      "bin/recovery production flip-db --to chi-02",
      "pulumi up  # the old primary is a standby then, and its container goes",
    ]);
  });

  test("of the pooler is felt at the primary alone", () => {
    expect(writes(POOLER, "chi-02-site-pgbouncer")).toBe("nothing");
    expect(writes(POOLER, "dal-01-site-pgbouncer")).toBe("interrupted");
  });

  test("of the health endpoint is not felt, of a router it is", () => {
    expect(writes(HEALTH, "dal-01-site-pg-health")).toBe("nothing");
    expect(writes(ROUTER, "dal-01-haproxy")).toBe("interrupted");
  });

  test("of the health endpoint is not known where one failed check takes a site down", () => {
    const config = { ...CONFIG, "heatwave:haproxy": '{"check":{"fall":1}}' };
    const at = (site: string) =>
      reviewOf([container(HEALTH, `${site}-site-pg-health`, image)], { config }).writes;
    expect(at("dal-01")).toBe("unknown");
    expect(at("chi-02")).toBe("nothing");
  });

  test("is judged by the primary before a flip that comes with it", () => {
    const ensure = (site: string) => ({ create: `../bin/recovery production ensure-primary ${site}` });
    const flip: HandMade = {
      types: "command:local:Command",
      name: "switchover",
      before: ensure("dal-01"),
      after: ensure("chi-02"),
      changed: ["create", "update"],
    };
    const made = reviewOf([container(POOLER, "dal-01-site-pgbouncer", image), flip], {
      config: { "heatwave:primary": "chi-02", "heatwave:sites": '[{"name":"dal-01"},{"name":"chi-02"}]' },
    });
    expect(made.places).toMatchObject([
      { place: { name: "dal-01" }, role: "primary", effect: "flip", writes: "interrupted" },
      { place: { name: "chi-02" }, role: "standby", effect: "flip", writes: "flip" },
    ]);
  });
});

describe("a text in force", () => {
  test.for([
    ["haproxy", "reload"],
    ["hba", "reload"],
    ["ident", "reload"],
    ["pooler", "reload"],
    ["restart", "restart"],
    ["program", "none"],
    ["script", "none"],
  ])("of kind %s: %s", ([kind, effect]) => {
    expect(onlyFinding(fileStep(kind ?? "", "conf/x", "a\n", "b\n"))).toMatchObject({
      effect,
      writes: "nothing",
    });
  });

  test("that stays the same does nothing, though its command runs again", () => {
    const step = fileStep("haproxy", "conf/haproxy.cfg", "a\n", "a\n");
    const same = { ...step, after: { ...step.before, connection: "[secret]" }, changed: ["connection"] };
    expect(onlyFinding(same)).toMatchObject({
      effect: "none",
      why: expect.stringContaining("in force already") as string,
    });
  });

  const parameters = (before: string, after: string) =>
    reviewOf([fileStep("postgres", "conf/postgresql.conf", before, after)]);
  const why = (before: string, after: string) =>
    parameters(before, after)
      .places.flatMap((place) => place.findings)
      .map((finding) => finding.why)
      .join();

  test("with a parameter that counts at once asks for nothing more", () => {
    expect(why("work_mem = '4MB'\n", "work_mem = '16MB'\n")).toBe(
      "PostgreSQL reloads `work_mem '4MB' → '16MB'`",
    );
    expect(parameters("work_mem = '4MB'\n", "work_mem = '16MB'\n").afterwards).toEqual([]);
  });

  test("with a parameter that is raised names the standby's restart first", () => {
    expect(why("max_connections = 200\n", "max_connections = 300\n")).toContain("waits for a restart");
    expect(parameters("max_connections = 200\n", "max_connections = 300\n").afterwards).toEqual([
      "bin/recovery production restart chi-02  # the standby first",
      "bin/recovery production flip-db --to chi-02  # when the applications may lose their sessions once",
      "bin/recovery production restart dal-01  # a standby by then",
    ]);
  });

  test("with one that is lowered, or falls back to a default that is not known here, the primary's", () => {
    for (const after of ["max_connections = 100\n", ""])
      expect(parameters("max_connections = 200\n", after).afterwards[0]).toMatch(
        /restart dal-01 .*the primary first/,
      );
  });

  test("with a parameter of an extension says that the extension decides", () => {
    expect(why("", "pg_stat_statements.max = 5000\n")).toContain("its extension decides");
  });
});

test("a secret's command that runs again for another reason changes nothing", () => {
  const line = "/x/bin/host-tool secret users heatwave-pgbouncer userlist.txt 70:70";
  const step: HandMade = {
    types: `${POOLER}$${COMMAND}`,
    name: "dal-01-site-pgbouncer-userlist.txt",
    before: { create: line, stdin: "[secret]" },
    after: { create: line, stdin: "[secret]" },
    changed: ["connection"],
  };
  expect(onlyFinding(step).effect).toBe("none");
  expect(onlyFinding({ ...step, changed: ["stdin"] }).effect).toBe("reload");
});

test("a site that leaves keeps its data volume, and its own row", () => {
  const gone = (types: string, name: string, state: object = {}): HandMade => ({
    types,
    name,
    op: "delete",
    before: { create: "true", name: "n" },
    state: { ...state },
  });
  const made = reviewOf([
    gone(`${POSTGRES}$${CONTAINER}`, "fra-03-site-postgres"),
    gone(`${POSTGRES}$docker:index/volume:Volume`, "fra-03-site-postgres-data", { retainOnDelete: true }),
    gone(`heatwave:ha-postgres:HaPostgres$heatwave:site:Site$${COMMAND}`, "fra-03-objects"),
    gone(`${HOST}$${COMMAND}`, "fra-03-tool"),
  ]);
  expect(made.writes).toBe("nothing");
  expect(made.places.slice(3)).toMatchObject([
    { place: { kind: "site", name: "fra-03" }, effect: "removed", findings: { length: 3 } },
    { place: { kind: "host", name: "fra-03" }, effect: "none" },
  ]);
});

test("a stack is new where nothing of it is there, not where something comes to it", () => {
  const step: HandMade = { types: `${ROUTER}$${CONTAINER}`, name: "app-01-haproxy", op: "create", after: {} };
  // The CLI lists no resource that stays the same, and counts it.
  expect(reviewOf([step], { changeSummary: { create: 1, same: 90 } }).stack.isNew).toBe(false);
  expect(reviewOf([step], { changeSummary: { create: 1 } }).stack.isNew).toBe(true);
});

describe("who reaches the stack", () => {
  const tool = "sudo -n /var/lib/heatwave/bin/host-tool firewall";
  const rules = (stdin: string) => ({
    create: `${tool} apply ${stdin} # sha256:x`,
    delete: `${tool} remove`,
    stdin,
  });
  const firewall = (rest: Partial<HandMade>): HandMade => ({
    types: `heatwave:ha-postgres:HaPostgres$heatwave:firewall:Firewall$${COMMAND}`,
    name: "chi-02-firewall-rules",
    ...rest,
  });
  const place = { kind: "host", name: "chi-02" };
  const tailnet = "heatwave:tailnet:Tailnet";

  test("changes with the firewall, on its host, and the rules' diff is shown", () => {
    const step = firewall({ before: rules("a\n"), after: rules("b\n"), changed: ["create", "stdin"] });
    expect(onlyFinding(step)).toMatchObject({
      place,
      effect: "none",
      why: expect.stringMatching(/cut off/) as string,
    });
    expect(reviewOf([step]).texts).toMatchObject([{ path: "firewall/rules", added: 1, removed: 1 }]);
    const again = firewall({
      before: rules("a\n"),
      after: { ...rules("a\n"), create: `${tool} apply a # sha256:y` },
    });
    expect(onlyFinding(again).why).toMatch(/is set again, as it is/);
    const gone = firewall({ op: "delete", before: rules("a\n") });
    expect(onlyFinding(gone)).toMatchObject({
      place,
      why: expect.stringMatching(/the whole tailnet/) as string,
    });
  });

  test("changes with a device's tags and with fewer grants in a way that only the tailnet's policy knows", () => {
    const tags: HandMade = {
      types: `${tailnet}$tailscale:index/deviceTags:DeviceTags`,
      name: "chi-02-device-tags",
      before: { tags: ["tag:a"] },
      after: { tags: ["tag:b"] },
      changed: ["tags"],
    };
    expect(onlyFinding(tags)).toMatchObject({
      effect: "unknown",
      why: expect.stringMatching(/policy decides/) as string,
    });
    expect(onlyFinding({ ...tags, op: "delete" })).toMatchObject({ effect: "none" });
    const create = "../bin/tailnet grants production merge";
    const grants: HandMade = {
      types: `${tailnet}$heatwave:tailnet:GrantsCommand$command:local:Command`,
      name: "tailnet-grants",
      before: { create },
      after: { create },
      changed: ["environment"],
    };
    expect(onlyFinding(grants).effect).toBe("unknown");
    const { before: _, ...fresh } = grants;
    expect(onlyFinding({ ...fresh, op: "create" })).toMatchObject({ effect: "none" });
  });

  test.each([
    ["deviceKey:DeviceKey", "chi-02-device-key"],
    ["tailnetKey:TailnetKey", "ams-03-join-key"],
  ])("does not change with %s", (type, name) => {
    const step = { types: `${tailnet}$tailscale:index/${type}`, name, op: "create", after: {} };
    expect(onlyFinding(step)).toMatchObject({ effect: "none", writes: "nothing" });
  });
});

describe("a command that runs where `up` does", () => {
  const local = (name: string, create: string, op = "update"): HandMade => ({
    types: "command:local:Command",
    name,
    op,
    before: { create },
    ...(op === "delete" ? {} : { after: { create: `${create} x` } }),
    changed: ["create"],
  });

  test("moves nothing by noting places, or by retiring a site", () => {
    expect(onlyFinding(local("places", "../bin/recovery production ensure-places"))).toMatchObject({
      effect: "none",
      why: expect.stringMatching(/^notes where hosts and sites are/) as string,
    });
    const retire = "../bin/recovery production ensure-retired chi-02";
    expect(onlyFinding(local("chi-02-retirement", retire)).why).toMatch(/^stops the site that retires/);
    expect(onlyFinding(local("chi-02-retirement", retire, "delete")).why).toMatch(/nothing is done$/);
  });

  test("is unknown where it is another one", () => {
    expect(onlyFinding(local("cleanup", "rm -rf /"))).toMatchObject({ effect: "unknown", writes: "unknown" });
  });
});
