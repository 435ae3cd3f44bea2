import type { GrantView, Observation, SiteView } from "../observe/observation.ts";
import type { GrantExpectation } from "./step.ts";

/** The site of that name; undefined when the stack has none. */
export function siteOf(seen: Observation, name: string): SiteView | undefined {
  return seen.sites.find((site) => site.name === name);
}

/** The highest epoch that any site's grant names; 0 without grants. */
export function highestEpoch(seen: Observation): number {
  return Math.max(0, ...seen.sites.map((site) => site.grant?.epoch ?? 0));
}

/** Every site that some grant excludes. */
export function excludedSites(seen: Observation): readonly string[] {
  return [...new Set(seen.sites.flatMap((site) => site.grant?.excluded ?? []))].toSorted();
}

/** What a change of this grant expects to find. */
export function expectation(grant: GrantView | null): GrantExpectation {
  return grant === null ? null : { epoch: grant.epoch, state: grant.state };
}
