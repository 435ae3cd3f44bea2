import { describe, expect, it } from "vitest";
import { fileChecks, lookChecks, needsLook, placeChanges } from "../../../infra/runbooks/plan/places.ts";
import type { Check } from "../../../infra/runbooks/plan/step.ts";
import { objections } from "../../../infra/runbooks/plan/step.ts";
import type { SiteView } from "../../../infra/runbooks/observe/observation.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import type { Places, SitePlace } from "../../../infra/topology/places.ts";
import { parsePlaces, placesOf, placeWords } from "../../../infra/topology/places.ts";
import { threeSites } from "../../support/topologies.ts";
import { gone, observation, primary, standby } from "./observations.ts";

const KEYS = { "dal-01": "SHA256:dal", "chi-02": "SHA256:chi", "ord-03": "SHA256:ord" } as const;
type Name = keyof typeof KEYS;
const host = (name: Name, address: string) => ({ name, address, key: KEYS[name] });
const site = (name: string, on: string, retired = false): SitePlace => ({
  name,
  host: on,
  state: retired ? "retired" : "site",
});

const LAST: Places = {
  hosts: [host("dal-01", "100.64.0.1"), host("chi-02", "100.64.0.2")],
  sites: [site("dal-01", "dal-01"), site("chi-02", "chi-02")],
};
const change = (more: Partial<Places>): Places => ({ ...LAST, ...more });
const why = (checks: readonly Check[]): string => objections(checks).join("; ");

describe("places in words", () => {
  it("of a stack read back as they were written, with nothing that a shell would read", () => {
    const config = threeSites();
    const topology = buildTopology({
      ...config,
      sites: config.sites.map((one) => ({ ...one, retired: one.name === "lon-01" })),
    });
    const places = placesOf(topology);
    expect(parsePlaces(placeWords(places))).toEqual(places);
    expect(placeWords(places).at(-1)).toBe("retired:lon-01@lon-01");
    for (const word of placeWords(places)) expect(word).toMatch(/^[A-Za-z0-9:@=./+-]+$/);
  });

  it("that are none are named", () => {
    expect(() => parsePlaces(["site:dal-01@dal-01", "dal-01"])).toThrow(/^"dal-01" is neither host:/);
  });
});

describe("what a stack file changes about places", () => {
  it("is nothing where it is as it was, and nothing that needs a look where it is new", () => {
    expect(needsLook(placeChanges(LAST, LAST))).toBe(false);
    expect(why(fileChecks(placeChanges(LAST, LAST)))).toBe("");
    const first = placeChanges(undefined, LAST);
    expect(Object.values(first).flat()).toEqual([]);
  });

  it("is a site more: its own founding looks, nothing else has to", () => {
    const changes = placeChanges(
      LAST,
      change({
        hosts: [...LAST.hosts, host("ord-03", "100.64.0.3")],
        sites: [...LAST.sites, site("ord-03", "ord-03")],
      }),
    );
    expect(changes).toMatchObject({ added: ["ord-03"], left: [], retired: [] });
    expect(needsLook(changes)).toBe(false);
    expect(why(fileChecks(changes))).toBe("");
  });

  it.each<[string, Partial<Places>, RegExp]>([
    [
      "a site that merely left",
      { sites: [site("dal-01", "dal-01")], hosts: [host("dal-01", "100.64.0.1")] },
      /^chi-02 has left the stack file without being retired.*Put its entry and its host chi-02 back with retired: true/,
    ],
    [
      "a site on another host",
      {
        sites: [site("dal-01", "dal-01"), site("chi-02", "ord-03")],
        hosts: [...LAST.hosts, host("ord-03", "100.64.0.3")],
      },
      /^chi-02 is on chi-02, and its entry names ord-03 now: a site is never moved by an edit/,
    ],
    [
      "a host with another address and another key",
      {
        hosts: [
          host("dal-01", "100.64.0.1"),
          { name: "chi-02", address: "100.64.0.9", key: "SHA256:another" },
        ],
      },
      /^chi-02 has another address \(100\.64\.0\.2 → 100\.64\.0\.9\) and another host key/,
    ],
  ])("refused by the file alone: %s", (_what, more, message) => {
    expect(why(fileChecks(placeChanges(LAST, change(more))))).toMatch(message);
  });

  it("is refused where what was found is to be made anew, or what was made here is to be adopted", () => {
    const adopted: Places = { ...LAST, sites: LAST.sites.map((one) => ({ ...one, state: "adopted" })) };
    expect(why(fileChecks(placeChanges(adopted, adopted)))).toBe("");
    expect(why(fileChecks(placeChanges(undefined, adopted)))).toBe("");
    expect(why(fileChecks(placeChanges(adopted, LAST)))).toMatch(
      /^dal-01 runs as it was found: .*Put heatwave:adopted back/,
    );
    expect(why(fileChecks(placeChanges(LAST, adopted)))).toMatch(/^dal-01 was made by this stack/);
    expect(parsePlaces(placeWords(adopted))).toEqual(adopted);
  });

  it("is a conversion of one site that ran as it was found, and of no other", () => {
    const state = (...states: readonly SitePlace["state"][]): Places => ({
      ...LAST,
      sites: LAST.sites.map((one, at) => ({ ...one, state: states[at] ?? "site" })),
    });
    const step = (from: Places | undefined, to: Places): string => why(fileChecks(placeChanges(from, to)));
    expect(step(state("adopted", "adopted"), state("adopted", "converted"))).toBe("");
    expect(step(state("adopted", "converted"), state("converted", "converted"))).toBe("");
    // The word may go once it is done; a conversion that was refused may be taken back.
    expect(step(state("converted", "converted"), state("site", "site"))).toBe("");
    expect(step(state("adopted", "converted"), state("adopted", "adopted"))).toBe("");
    expect(step(undefined, state("adopted", "converted"))).toBe("");
    expect(step(state("adopted", "adopted"), state("converted", "converted"))).toMatch(
      /^dal-01 and chi-02 are to be converted at once: one at a time/,
    );
    expect(step(state("adopted", "converted"), state("site", "converted"))).toMatch(
      /^dal-01 runs as it was found: .*bin\/adopt ENV --convert SITE/,
    );
    expect(step(state("site", "site"), state("site", "converted"))).toMatch(
      /^chi-02 is said to be converted, and never ran as it was found/,
    );
    expect(parsePlaces(placeWords(state("adopted", "converted")))).toEqual(state("adopted", "converted"));
  });

  it("is no objection once the site was retired before", () => {
    const retired = change({ sites: [site("dal-01", "dal-01"), site("chi-02", "chi-02", true)] });
    const without = change({ sites: [site("dal-01", "dal-01")] });
    expect(placeChanges(retired, without)).toMatchObject({ left: [], retired: [] });
    // Retired and back again: it is founded as it is.
    expect(placeChanges(retired, LAST)).toMatchObject({ left: [], retired: [], readdressed: [] });
  });

  it("is a retirement that is judged once, by the stack", () => {
    const retired = change({ sites: [site("dal-01", "dal-01"), site("chi-02", "chi-02", true)] });
    const changes = placeChanges(LAST, retired);
    expect(changes.retired).toEqual(["chi-02"]);
    expect(needsLook(changes)).toBe(true);
    const two = observation([
      primary("dal-01", { streamingTo: ["chi-02"] }),
      standby("chi-02", { follows: "dal-01" }),
    ]);
    expect(why(lookChecks(changes, two, retired, new Set()))).toMatch(/chi-02 holds the only other copy/);
    expect(needsLook(placeChanges(retired, retired))).toBe(false);
    // A stack that has noted nothing yet may not pass over it.
    expect(placeChanges(undefined, retired).retired).toEqual(["chi-02"]);
  });

  describe("a host at another address", () => {
    const wanted = change({ hosts: [host("dal-01", "100.64.0.1"), host("chi-02", "100.64.0.9")] });
    const changes = placeChanges(LAST, wanted);
    const look = (sites: readonly SiteView[], stillAt: readonly string[] = []): string =>
      why(lookChecks(changes, observation(sites), wanted, new Set(stillAt)));
    // Nothing streams: the old address is gone, and what is published on it with it.
    const away = (more: Partial<SiteView> = {}) =>
      standby("chi-02", { source: "control", receiver: null, word: null, ...more });

    it("may be, with its key, its data and another site as the primary", () => {
      expect(needsLook(changes)).toBe(true);
      expect(why(fileChecks(changes))).toBe("");
      expect(look([primary("dal-01"), away()])).toBe("");
      expect(look([primary("dal-01"), away({ role: "empty", systemId: null })])).toBe("");
    });

    it.each<[string, readonly SiteView[], readonly string[], RegExp]>([
      [
        "the primary's",
        [standby("dal-01"), primary("chi-02")],
        [],
        /^chi-02 is the primary: .*Give chi-02 100\.64\.0\.2 back, move the writes \(bin\/recovery production flip-db\)/,
      ],
      [
        "one that does not answer there",
        [primary("dal-01"), gone("chi-02")],
        [],
        /^chi-02 cannot be reached at 100\.64\.0\.9/,
      ],
      [
        "one whose key answers at the old place as well",
        [primary("dal-01"), away()],
        ["chi-02"],
        /^a machine with chi-02's key still answers at 100\.64\.0\.2/,
      ],
      [
        "one with another cluster's data",
        [primary("dal-01"), away({ systemId: "7" })],
        [],
        /^the data at 100\.64\.0\.9 is of system 7, the cluster is 7000000000000000001/,
      ],
      [
        "one that does not say what data it has",
        [primary("dal-01"), away({ systemId: null, silent: "pg-health: no socket" })],
        [],
        /^chi-02 does not say which cluster its data is of: pg-health: no socket/,
      ],
      ["one while nobody takes writes", [standby("dal-01"), away()], [], /^no site takes writes$/],
    ])("refused: %s", (_what, sites, stillAt, message) => {
      expect(look(sites, stillAt)).toMatch(message);
    });
  });
});
