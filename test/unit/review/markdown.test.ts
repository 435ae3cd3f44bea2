import { describe, expect, test } from "vitest";
import { markdownOf } from "../../../infra/review/markdown.ts";
import { NotAPreview, readPreview } from "../../../infra/review/preview.ts";
import { CONTAINER, digest, fileStep, reviewOf, ROUTER } from "./previews.ts";

describe("the comment", () => {
  test("begins with the mark that the next one is found by, and with the verdict", () => {
    const [mark, verdict] = markdownOf(reviewOf([])).split("\n");
    expect(mark).toBe("<!-- heatwave-review: production -->");
    expect(verdict).toBe("## production: nothing changes");
  });

  test("is not broken out of by a text that is under review", () => {
    const text = markdownOf(
      reviewOf([fileStep("hba", "conf/pg_hba.conf", "a\n", "````\n</details> @all\n")]),
    );
    expect(text).toContain("`````diff");
    expect(text.match(/`````/g)).toHaveLength(2);
  });

  test("takes a table's words as text", () => {
    const step = { ...fileStep("hba", "conf/<b>|@me*x*", "a\n", "b\n") };
    const row = markdownOf(reviewOf([step]))
      .split("\n")
      .find((line) => line.startsWith("| site dal-01"));
    expect(row).toContain("&lt;b>\\|\\@me\\*x\\*");
  });

  test("stays below its limit, and says what it leaves out", () => {
    const long = Array.from({ length: 4000 }, (_, line) => `host all all 10.0.0.${line}/32 reject`).join(
      "\n",
    );
    const made = reviewOf([fileStep("hba", "conf/pg_hba.conf", "", long)]);
    expect(markdownOf(made).length).toBeLessThanOrEqual(30_000);
    expect(markdownOf(made)).toContain("1 of the texts are left out");
    expect(markdownOf(made, { limit: 400_000 })).not.toContain("left out");
    expect(markdownOf(made, { limit: 400_000 })).toContain("10.0.0.3999/32");
  });

  test("names a policy that what changes would break, and what to do", () => {
    const image = {
      op: "replace",
      changed: ["restart"],
      replacing: ["restart"],
      before: {},
      name: "dal-01-haproxy",
    };
    const made = reviewOf([{ types: `${ROUTER}$${CONTAINER}`, ...image, after: { restart: "no" } }]);
    expect(made.violations.map(({ rule }) => rule)).toContain("restart-policy");
    expect(markdownOf(made)).toMatch(
      /\*\*policy restart-policy\*\* is broken by dal-01-haproxy:\n\n```\nrestart is "no"\n {2}allowed/,
    );
  });

  test("says of a failed preview that the effect is unknown, and why it failed", () => {
    const text = markdownOf(reviewOf([], { diagnostics: [{ severity: "error", message: "no `key`" }] }));
    expect(text).toContain("the preview failed, so the effect is unknown");
    expect(text).toContain("no `key`");
  });
});

describe("what is no preview is refused with what to hand in", () => {
  test.for([
    ["", "is empty"],
    ['{"sequence":0}\n{"sequence":1}', "is not one JSON object"],
    ['{"sequence":0}', "changeSummary"],
    ["[]", "the object"],
    [JSON.stringify({ ...digest([]), steps: [{}] }), "steps.0.op"],
  ])("%s", ([text = "", what = ""]) => {
    expect(() => readPreview(text, "the file")).toThrow(NotAPreview);
    expect(() => readPreview(text, "the file")).toThrow(
      new RegExp(`^the file: .*${what}[^]*pulumi preview --json`),
    );
  });
});
