import { describe, expect, test } from "vitest";
import { describeAnswer, describePrimary } from "../../../infra/cli/rehearse/print.ts";
import type { SiteAnswer } from "../../../infra/rehearsal/health.ts";

const answer = (site: string, word: string | null, status: number | null): SiteAnswer => ({
  site,
  host: site,
  word,
  status,
});

describe("what a status says of the sites", () => {
  test("is pg-health's own word and status", () => {
    expect(describeAnswer(answer("a", "standby", 503))).toBe("standby 503");
    expect(describeAnswer(answer("a", null, null))).toBe("no answer");
  });

  test.each([
    [[answer("a", "primary", 200), answer("b", "standby", 503)], "primary: a"],
    [[answer("a", "waiting", 503), answer("b", null, null)], "no site is primary"],
    [[answer("a", "primary", 200), answer("b", "primary", 200)], "2 sites say that they are primary: a, b"],
  ])("ends with who takes writes", (sites, line) => {
    expect(describePrimary(sites)).toBe(line);
  });
});
