import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadStackFile } from "../../../infra/config/load.ts";
import type { StackConfig } from "../../../infra/config/schema.ts";
import { migrationSteps, planMigration } from "../../../infra/rehearsal/migration.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { project } from "../../support/topologies.ts";

const folder = mkdtempSync(join(tmpdir(), "heatwave-migration-"));
afterAll(() => rmSync(folder, { recursive: true }));

const FILES = [
  ["production", project],
  ["staging", project],
  ["three-sites", join(project, "examples")],
] as const;

/** Every file of a migration, the first as shipped. Each is loaded as `up` would load it. */
function filesOf(
  stack: string,
  directory: string,
  site?: string,
): { readonly name: string; readonly text: string; readonly config: StackConfig }[] {
  const load = (text: string): StackConfig => {
    writeFileSync(join(folder, `Pulumi.${stack}.yaml`), text);
    return loadStackFile(folder, stack);
  };
  const shipped = readFileSync(join(directory, `Pulumi.${stack}.yaml`), "utf8");
  const config = load(shipped);
  const files = [{ name: "as it is", text: shipped, config }];
  for (const { name, edit } of migrationSteps(config, planMigration(config, site))) {
    const text = edit(files.at(-1)?.text ?? "");
    files.push({ name, text, config: load(text) });
  }
  return files;
}

describe.each(FILES)("the stack files of a migration of %s", (stack, directory) => {
  test("of the primary: add, flip, retire, forget, each a file that loads", () => {
    const files = filesOf(stack, directory);
    const first = files[0]?.config;
    const from = first?.primary ?? "";
    expect(files.map(({ name }) => name)).toEqual(["as it is", "add", "flip", "retire", "forget"]);
    const shape = files.map(({ config }) => {
      const { primary, sites, retired } = buildTopology(config);
      return { primary, sites: sites.map(({ name }) => name), retired: retired.map(({ name }) => name) };
    });
    const others = (first?.sites ?? []).map(({ name }) => name).filter((name) => name !== from);
    const all = (first?.sites ?? []).map(({ name }) => name);
    expect(shape).toEqual([
      { primary: from, sites: all, retired: [] },
      { primary: from, sites: [...all, "moved-01"], retired: [] },
      { primary: "moved-01", sites: [...all, "moved-01"], retired: [] },
      { primary: "moved-01", sites: [...others, "moved-01"], retired: [from] },
      { primary: "moved-01", sites: [...others, "moved-01"], retired: [] },
    ]);
  });

  test("changes nothing but places: secrets, images, settings and comments stay", () => {
    const files = filesOf(stack, directory);
    const apart = ({ primary: _1, hosts: _2, sites: _3, maintenance: _4, ...rest }: StackConfig): unknown =>
      rest;
    for (const { config } of files) expect(apart(config)).toEqual(apart(files[0]!.config));
    const comments = (text: string): string[] => text.match(/# .*$/gm) ?? [];
    const shipped = comments(files[0]!.text);
    expect(shipped.length).toBeGreaterThan(0);
    for (const { name, text } of files.filter((file) => file.name !== "forget"))
      expect(comments(text), name).toEqual(shipped);
  });
});

describe("the stack files of a migration", () => {
  test("of a standby: no flip, and its host goes with it, and what maintenance watched there", () => {
    const files = filesOf("production", project, "chi-02");
    expect(files.map(({ name }) => name)).toEqual(["as it is", "add", "retire", "forget"]);
    const last = files.at(-1)!.config;
    expect(Object.keys(last.hosts)).toEqual(["dal-01", "moved-01"]);
    expect(last.maintenance?.containers).toEqual([]);
  });

  test("keep a host that is an app's as well", () => {
    const last = filesOf("production", project).at(-1)!.config;
    expect(Object.keys(last.hosts)).toContain("dal-01");
    expect(last.routers.map(({ host }) => host)).toEqual(["dal-01"]);
  });

  test("need a site of the stack", () => {
    const config = loadStackFile(project, "production");
    expect(() => planMigration(config, "nowhere")).toThrow(/nowhere cannot move/);
  });
});
