import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { EXAMPLE, EXAMPLE_STACK } from "../../../infra/config/example.ts";
import { stackJsonSchema } from "../../../infra/config/json-schema.ts";
import { outline } from "../../../infra/config/outline.ts";
import { configurationReference } from "../../../infra/config/reference.ts";
import { draw } from "./arbitrary.ts";
import { asFile, loadText } from "./doors.ts";

const ROOT = new URL("../../../", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, ROOT), "utf8");

describe("the configuration reference", () => {
  it("is not stale (node infra/cli/config-docs.ts)", () => {
    expect(read("docs/configuration.md")).toBe(configurationReference());
  });

  it("begins with an example that loads", () => {
    expect(loadText(EXAMPLE, EXAMPLE_STACK).sites.map(({ name }) => name)).toEqual(["dal-01", "chi-02"]);
    expect(read("docs/configuration.md")).toContain(EXAMPLE);
  });

  it("has a row for every key that holds a value", () => {
    const text = read("docs/configuration.md");
    for (const { path, leaf } of outline()) {
      const row = path.replace(/^\w+(\.(?=.)|(?=\[))/, "");
      if (leaf) expect(text, path).toContain(`| \`${row}\` |`);
    }
  });

  it("links only to files that exist", () => {
    for (const [, target] of read("docs/configuration.md").matchAll(/\]\(([^)#]+)\)/g)) {
      expect(read(`docs/${target!}`).length).toBeGreaterThan(0);
    }
  });
});

describe("the JSON schema", () => {
  const schema = z.fromJSONSchema(stackJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  const accepts = (text: string): boolean => schema.safeParse(parse(text)).success;

  it("is not stale (node infra/cli/config-docs.ts)", () => {
    expect(JSON.parse(read("docs/stack-config.schema.json"))).toEqual(stackJsonSchema());
  });

  it("accepts every valid stack file", () => {
    for (const stack of draw(60)) expect(accepts(asFile(stack))).toBe(true);
    for (const name of ["Pulumi.production.yaml", "Pulumi.staging.yaml"])
      expect(accepts(read(name))).toBe(true);
    expect(accepts(EXAMPLE)).toBe(true);
  });

  it.each([
    ["an unknown section", /heatwave:routers:/, "heatwave:routerz:"],
    ["an unknown key", /poolMode/, "poolmode"],
    ["a readable password", /secure: \S+/, "secure: 12"],
    ["an image without its digest", /@sha256:[0-9a-f]{64}/, ""],
    ["a route that is none", /route: write/, "route: writes"],
    ["text for a number", /port: 6433/, "port: '6433'"],
    ["a missing section", /heatwave:images:/, "docker:images:"],
  ])("refuses %s", (_name, found, replacement) => {
    const text = read("Pulumi.production.yaml");
    expect(text).toMatch(found);
    expect(accepts(text.replace(found, replacement))).toBe(false);
  });

  it("tells an editor what may stand there, in the reports' words", () => {
    expect(JSON.stringify(stackJsonSchema())).toContain(
      '"patternErrorMessage":"allowed: a tailnet IPv4 address',
    );
  });
});
