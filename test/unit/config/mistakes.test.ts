import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, pathText } from "../../../infra/config/problem.ts";
import type { Raw } from "./arbitrary.ts";
import { draw, pool, secretsOf } from "./arbitrary.ts";
import { DOORS } from "./doors.ts";
import { MISTAKES } from "./mistakes/catalogue.ts";
import type { Made } from "./mistakes/tools.ts";

/** Words of the validator, of JavaScript and of programmers: no operator reads them. */
const JARGON =
  /zod|invalid|expected|received|undefined|\bnan\b|unrecognized|regex|pattern|refine|union|object Object|string|boolean \(|TypeError|\u001f/i;

function refusal(load: () => unknown): ConfigError {
  try {
    load();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return error as ConfigError;
  }
  throw new Error("the stack was accepted");
}

/** The report has one block: path, value, what is allowed, the fix. */
function expectOneBlock(error: ConfigError, made: Made): void {
  const blocks = error.message.split("\n\n");
  expect(error.message).toMatch(/^Pulumi\.test\.yaml: 1 problem; nothing was touched\n/);
  expect(blocks, error.message).toHaveLength(2);
  const [path, value, allowed, fix, ...rest] = blocks[1]!.split("\n");
  expect(rest).toEqual([]);
  expect(path).toBe(`  ${pathText(made.path)}`);
  expect(value).toMatch(/^ {4}value {4}\S/);
  expect(allowed).toMatch(/^ {4}allowed {2}\S.{2}/);
  expect(fix).toMatch(/^ {4}fix {6}\S.{2}/);
  for (const line of [allowed!, fix!]) expect(line).not.toMatch(JARGON);
  if (made.allowed) expect(allowed!.slice(13)).toMatch(made.allowed);
  if (made.fix) expect(fix!.slice(13)).toMatch(made.fix);
}

function expectValue(error: ConfigError, made: Made): void {
  const value = error.problems[0]!.value;
  if (made.shown instanceof RegExp) expect(value).toMatch(made.shown);
  else expect(value).toBe(made.shown ?? plain(made.value));
}

function plain(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

function expectNoSecret(error: ConfigError, secrets: readonly string[]): void {
  const told = `${error.message}\n${JSON.stringify(error.problems)}\n${error.stack ?? ""}`;
  for (const secret of secrets) {
    expect(told).not.toContain(secret);
    expect(told).not.toContain(JSON.stringify(secret).slice(1, -1));
    if (secret.length > 20) expect(told).not.toContain(secret.slice(0, 16));
  }
}

const NUMBER = fc.nat({ max: 1000 });

const DRAWN = draw(200);
const POOL = pool(DRAWN);

function wrongStacks(name: string): fc.Arbitrary<{ raw: Raw; made: Made }> {
  const mistake = MISTAKES[name]!;
  return fc.tuple(pool(DRAWN, mistake.where), NUMBER).map(([valid, n]) => {
    const raw = structuredClone(valid);
    return { raw, made: mistake.make(raw, n) };
  });
}

describe("one report for one mistake:", () => {
  it("the catalogue is wide", () => {
    expect(Object.keys(MISTAKES).length).toBeGreaterThan(150);
  });

  it.each(Object.keys(MISTAKES))("%s", (name) => {
    fc.assert(
      fc.property(wrongStacks(name), ({ raw, made }) => {
        const error = refusal(() => DOORS["as it is"](raw));
        expectOneBlock(error, made);
        expectValue(error, made);
        expectNoSecret(
          error,
          secretsOf(raw).filter((text) => text.length > 5),
        );
      }),
      { numRuns: 10 },
    );
  });

  const inPrograms = Object.keys(MISTAKES).filter((name) => MISTAKES[name]!.notInPrograms !== true);
  it.each(inPrograms)("as a program: %s", (name) => {
    fc.assert(
      fc.property(wrongStacks(name), ({ raw, made }) => {
        const error = refusal(() => DOORS["as a program"](raw));
        expectOneBlock(error, made);
        expectNoSecret(
          error,
          secretsOf(raw).filter((text) => text.length > 5),
        );
      }),
      { numRuns: 2 },
    );
  });

  const inFiles = Object.keys(MISTAKES).filter((name) => MISTAKES[name]!.notInFiles !== true);
  it.each(inFiles)("as a file: %s", (name) => {
    fc.assert(
      fc.property(wrongStacks(name), ({ raw, made }) => {
        const error = refusal(() => DOORS["as a file"](raw));
        expectOneBlock(error, name === "a secret that is a number" ? { path: made.path } : made);
        expectNoSecret(
          error,
          secretsOf(raw).filter((text) => text.length > 5),
        );
      }),
      { numRuns: 2 },
    );
  });
});

describe("several mistakes", () => {
  it("are all in one report, each place once", () => {
    const names = [
      "two hosts on one address",
      "a reserved role: public",
      'a primary that is no site: "nowhere-1"',
      "no listener for writes",
    ];
    const stacks = pool(DRAWN, (raw) => Object.keys(raw.hosts).length > 1);
    fc.assert(
      fc.property(stacks, NUMBER, (valid, n) => {
        const raw = structuredClone(valid);
        const made = names.map((name) => MISTAKES[name]!.make(raw, n));
        const error = refusal(() => DOORS["as it is"](raw));
        expect(error.problems.map(({ path }) => pathText(path)).sort()).toEqual(
          made.map(({ path }) => pathText(path)).sort(),
        );
        expect(error.message).toMatch(/^Pulumi\.test\.yaml: 4 problems; nothing was touched\n/);
      }),
      { numRuns: 20 },
    );
  });
});

describe("whatever comes in", () => {
  const anything = fc.anything({ withNullPrototype: false, maxDepth: 4 });
  it("is a configuration or a ConfigError, and never anything else", () => {
    fc.assert(
      fc.property(
        POOL,
        fc.dictionary(
          fc.constantFrom(
            "primary",
            "hosts",
            "sites",
            "routers",
            "listeners",
            "images",
            "postgres",
            "pgbouncer",
            "haproxy",
            "secrets",
            "network",
            "__proto__",
            "x",
          ),
          anything,
        ),
        (valid, odd) => {
          const raw = { ...valid, ...odd };
          try {
            DOORS["as it is"](raw);
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigError);
            for (const { allowed, fix } of (error as ConfigError).problems) {
              expect(allowed).not.toMatch(JARGON);
              expect(fix.replace(/YAML reads a \w+ here/, "")).not.toMatch(JARGON);
            }
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});
