import { describe, expect, it } from "vitest";
import { isBack, mayReplace } from "../../../components/postgres/replacement-rules.ts";
import type { PostgresSighting } from "../../../infra/hosts/postgres-sighting.ts";
import { readSighting } from "../../../infra/hosts/postgres-sighting.ts";

const primary = (...streaming: string[]): PostgresSighting => ({ kind: "primary", streaming, image: "pg:1" });
const standby: PostgresSighting = { kind: "standby" };
const absent: PostgresSighting = { kind: "idle", why: "absent" };
const unseen: PostgresSighting = { kind: "unseen", message: "cannot be reached" };
const down = (startsAs: "primary" | "standby"): PostgresSighting => ({ kind: "down", startsAs });
const sites = (seen: Readonly<Record<string, PostgresSighting>>) => new Map(Object.entries(seen));

describe("which PostgreSQL container may be replaced", () => {
  it.each([
    ["a first deploy", "a", { a: absent, b: absent }, "go"],
    ["a stopped one", "a", { a: { kind: "idle", why: "stopped" }, b: unseen }, "go"],
    ["the primary", "a", { a: primary("b"), b: standby }, "primary"],
    ["its standby", "b", { a: primary("b"), b: standby }, "go"],
    ["a standby that lags, the others stream", "b", { a: primary("c"), b: standby, c: standby }, "go"],
    ["a standby while another is not back", "b", { a: primary("b"), b: standby, c: standby }, "wait"],
    ["a standby while another is down", "b", { a: primary("b"), b: standby, c: down("standby") }, "wait"],
    ["a standby beside a dead site", "b", { a: primary("b"), b: standby, c: unseen }, "go"],
    ["a standby beside an empty site", "b", { a: primary("b"), b: standby, c: absent }, "go"],
    ["the last one, its primary dead", "b", { a: unseen, b: standby }, "wait"],
    ["a crashed primary, nobody else writes", "a", { a: down("primary"), b: standby }, "primary"],
    ["an old primary that is held back", "a", { a: down("primary"), b: primary() }, "go"],
    ["a standby that is down", "b", { a: primary(), b: down("standby") }, "go"],
    ["one that cannot be asked", "b", { a: primary(), b: unseen }, "unseen"],
  ] as const)("%s", (_name, site, seen, kind) => {
    expect(mayReplace(site, sites(seen)).kind).toBe(kind);
  });

  it("never lets go of a site that takes writes, nor of two of three at once, whatever is seen", () => {
    const kinds = [
      primary(),
      primary("a", "b", "c"),
      standby,
      absent,
      unseen,
      down("primary"),
      down("standby"),
    ];
    let seen = 0;
    for (const a of kinds)
      for (const b of kinds)
        for (const c of kinds) {
          const all = sites({ a, b, c });
          for (const [name, own] of all) {
            const verdict = mayReplace(name, all);
            if (own.kind === "primary") expect(verdict.kind).toBe("primary");
            if (own.kind === "unseen") expect(verdict.kind).toBe("unseen");
            // Of two that are up beside a primary, the first goes only while the other streams.
            const rest = [...all].filter(([other, { kind }]) => other !== name && kind === "standby");
            const from = [...all.values()].find(({ kind }) => kind === "primary");
            if (verdict.kind === "go" && own.kind === "standby" && from?.kind === "primary")
              for (const [other] of rest) expect(from.streaming).toContain(other);
            seen += 1;
          }
        }
    expect(seen).toBe(kinds.length ** 3 * 3);
  });

  it("says which sites' silence was passed over", () => {
    const verdict = mayReplace("b", sites({ a: primary("b"), b: standby, c: unseen }));
    expect(verdict).toEqual({ kind: "go", unseen: ["c"] });
  });

  it("a replaced standby is back when the primary says that it has caught up", () => {
    expect(isBack("b", sites({ a: primary("b"), b: standby }))).toBe(true);
    expect(isBack("b", sites({ a: primary(), b: standby }))).toMatch(/does not stream from a/);
    expect(isBack("b", sites({ a: unseen, b: standby }))).toMatch(/no site is seen to be the primary/);
    expect(isBack("b", sites({ a: standby, b: primary("a") }))).toBe(true);
  });
});

describe("one look at a site", () => {
  it.each([
    ["absent\n", absent],
    ["stopped\n", { kind: "idle", why: "stopped" }],
    ["empty\npg:1\n", { kind: "idle", why: "empty" }],
    ["standby\npg:1\n", standby],
    ["down standby\npg:1\n", down("standby")],
    ["down primary\npg:1\n", down("primary")],
    ["primary b c\npg:1\n", primary("b", "c")],
    ["primary \npg:1\n", primary()],
  ])("%j", (printed, sighting) => {
    expect(readSighting(printed)).toEqual(sighting);
  });

  it("takes nothing for a role that it does not know", () => {
    expect(readSighting("FATAL: the database system is starting up")).toMatchObject({ kind: "unseen" });
    expect(readSighting("")).toMatchObject({ kind: "unseen" });
  });
});
