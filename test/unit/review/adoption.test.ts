import { describe, expect, it } from "vitest";
import type { HandMade } from "./previews.ts";
import { COMMAND, CONTAINER, onlyFinding, POSTGRES, ROUTER } from "./previews.ts";

/** What a review says of a stack that is adopted, and of its conversion (docs/adoption.md). */

const SITE = "heatwave:ha-postgres:HaPostgres$heatwave:site:Site";
const taken = (types: string, name: string): HandMade => ({
  types: `${types}$${CONTAINER}`,
  name,
  op: "replace",
  before: { image: "a" },
  after: { image: "a" },
  state: { protect: true },
  changed: ["command"],
  replacing: ["command"],
});

describe("a review", () => {
  it.each<[string, HandMade, string, RegExp]>([
    [
      "an import",
      { types: `${POSTGRES}$${CONTAINER}`, name: "dal-01-site-postgres", op: "import", after: {} },
      "nothing",
      /taken over as it is/,
    ],
    [
      "an imported volume",
      {
        types: `${POSTGRES}$docker:index/volume:Volume`,
        name: "dal-01-site-postgres-data",
        op: "import",
        after: {},
      },
      "nothing",
      /taken over as it is/,
    ],
    [
      "the standby's conversion",
      { types: `${SITE}$${COMMAND}`, name: "chi-02-conversion", op: "create", after: { create: "sh -s" } },
      "nothing",
      /on the same data/,
    ],
    [
      "the primary's conversion",
      { types: `${SITE}$${COMMAND}`, name: "dal-01-conversion", op: "create", after: { create: "sh -s" } },
      "interrupted",
      /writes pause, sessions end/,
    ],
    [
      "a conversion that runs again",
      {
        types: `${SITE}$${COMMAND}`,
        name: "chi-02-conversion",
        before: { create: "sh -s 1" },
        after: { create: "sh -s 2" },
        changed: ["create"],
      },
      "nothing",
      /does nothing where the site has a grant/,
    ],
    [
      "what is done to the primary that was found",
      {
        types: `heatwave:ha-postgres:HaPostgres$${COMMAND}`,
        name: "dal-01-preparation",
        op: "create",
        after: { create: "sh -s" },
      },
      "nothing",
      /two roles, slots and lines of pg_hba.conf/,
    ],
    ["the standby's PostgreSQL", taken(POSTGRES, "chi-02-site-postgres"), "nothing", /takes the place/],
    ["the primary's PostgreSQL", taken(POSTGRES, "dal-01-site-postgres"), "interrupted", /takes the place/],
    ["the router", taken(ROUTER, "dal-01-haproxy"), "interrupted", /takes the place/],
  ])("of %s", (_what, step, writes, why) => {
    const finding = onlyFinding(step);
    expect(finding.writes).toBe(writes);
    expect(finding.why).toMatch(why);
  });
});
