import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadConfig, rawFromPulumi } from "../../../infra/config/load.ts";
import { outline } from "../../../infra/config/outline.ts";
import { milliseconds, said } from "../../../infra/config/words.ts";
import type { Raw } from "./arbitrary.ts";
import { secretsOf, validStack } from "./arbitrary.ts";
import { DOORS } from "./doors.ts";

describe("the stacks that the tests draw", () => {
  it("are of every shape", () => {
    const drawn = fc.sample(validStack, { numRuns: 400, seed: 1 });
    const seen = (of: (raw: Raw) => unknown) => [...new Set(drawn.map(of))].sort();
    expect(seen((raw) => raw.sites.length)).toEqual([1, 2, 3, 4, 5]);
    expect(seen((raw) => raw.routers.length)).toEqual([0, 1, 2, 3, 4]);
    const routes = drawn.flatMap((raw) => (raw.listeners ?? []).map((listener) => listener.route));
    expect(new Set(routes)).toEqual(new Set(["write", "read", "any"]));
    const apart = (raw: Raw) => Object.keys(raw.hosts).length - raw.sites.length;
    expect(seen(apart)).toEqual([0, 1, 2, 3, 4]);
  });
});

describe("a valid stack", () => {
  it("loads, whichever way it comes in, and is the same", () => {
    fc.assert(
      fc.property(validStack, (raw) => {
        const config = DOORS["as it is"](raw);
        expect(DOORS["as a program"](raw)).toEqual(config);
        const { secrets, ...fromFile } = DOORS["as a file"](raw);
        const { secrets: real, ...rest } = config;
        expect(fromFile).toEqual(rest);
        expect(Object.keys(secrets.roles)).toEqual(Object.keys(real.roles));
        const texts = JSON.stringify(secrets);
        for (const text of secretsOf(raw)) expect(texts).not.toContain(text);
      }),
      { numRuns: 200 },
    );
  });

  it("keeps every secret as it is", () => {
    fc.assert(
      fc.property(validStack, (raw) => {
        expect(DOORS["as a program"](raw).secrets).toEqual(raw.secrets);
      }),
    );
  });

  it("keeps every declared value and only adds defaults", () => {
    fc.assert(
      fc.property(validStack, (raw) => {
        expect(DOORS["as it is"](raw)).toMatchObject(raw);
      }),
    );
  });

  it("is left alone by loading", () => {
    fc.assert(
      fc.property(validStack, (raw) => {
        const before = structuredClone(raw);
        DOORS["as it is"](raw);
        expect(raw).toEqual(before);
      }),
    );
  });
});

describe("rawFromPulumi", () => {
  it.each(["true", "false", "null", "12", "0x10", "1e3", "[x", "{", "[1]", '{"a": 1}', '"quoted"', " ", ""])(
    "leaves a text field as the text %j",
    (text) => {
      expect(rawFromPulumi({ "heatwave:primary": text })).toEqual({ primary: text });
    },
  );

  it("reads structures, keeps what is no JSON, and drops other namespaces", () => {
    expect(
      rawFromPulumi({
        "heatwave:sites": ' [{"name": "true", "ports": {"postgres": 5432}}]',
        "heatwave:network": '{"external":true}',
        "heatwave:hosts": "[x",
        "heatwave:images": "12",
        "docker:host": "ssh://x",
        "pulumi:disable-default-providers": '["docker"]',
      }),
    ).toEqual({
      sites: [{ name: "true", ports: { postgres: 5432 } }],
      network: { external: true },
      hosts: "[x",
      images: "12",
    });
  });

  it("never throws", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().map((s) => `heatwave:${s}`),
          fc.string(),
        ),
        (all) => {
          expect(Object.keys(rawFromPulumi(all))).toHaveLength(Object.keys(all).length);
        },
      ),
    );
  });
});

describe("the schema", () => {
  it("has words of its own for every key, so that no user reads the validator's", () => {
    for (const { path, schema } of outline()) {
      for (const wrong of [
        undefined,
        null,
        Symbol("wrong"),
        [{ wrong: true }],
        { wrong: true },
        "",
        "\u0000",
        -7.5,
        NaN,
      ]) {
        const result = schema.safeParse(wrong);
        for (const issue of result.success ? [] : result.error.issues) {
          const message = issue.code === "invalid_key" ? issue.issues[0]!.message : issue.message;
          const words = said(message);
          expect(words, `${path}: ${message}`).toBeDefined();
          expect(words!.allowed).not.toBe("");
          expect(words!.fix).not.toBe("");
        }
      }
    }
  });

  it("describes every key that an operator writes", () => {
    const silent = outline().filter(
      ({ path, description }) => description === "" && !/<name>|\.ssh$|\[\]$/.test(path),
    );
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it("accepts one password for the superuser and a role", () => {
    fc.assert(
      fc.property(validStack, (raw) => {
        const password = raw.secrets.superuserPassword;
        const roles = Object.fromEntries(Object.keys(raw.secrets.roles).map((role) => [role, password]));
        const config = loadConfig({ ...raw, secrets: { ...raw.secrets, roles } }, "x");
        expect(Object.values(config.secrets.roles).every((value) => value === password)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe("milliseconds", () => {
  it.each([
    ["500ms", 500],
    ["2s", 2000],
    ["5m", 300_000],
    ["12h", 43_200_000],
    ["24d", 2_073_600_000],
  ])("of %s are %d", (text, expected) => {
    expect(milliseconds(text)).toBe(expected);
  });
});
