import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPreview } from "../../../infra/review/preview.ts";
import { review } from "../../../infra/review/review.ts";
import { CONFIG } from "./previews.ts";

/** What the Pulumi CLI wrote for production (test/engine/data/README.md). */
const DATA = join(import.meta.dirname, "../../engine/data");

type Json = Readonly<Record<string, unknown>>;
const read = (name: string): unknown => JSON.parse(readFileSync(join(DATA, name), "utf8"));

/** The kept preview has new inputs alone; the states that a whole one has too are put back from the checkpoint. */
function wholePreview(): string {
  const { checkpoint } = read("production.checkpoint.json") as {
    checkpoint: { latest: { resources: readonly (Json & { urn: string; inputs?: Json })[] } };
  };
  const { steps, ...rest } = read("production-edited.preview.json") as {
    steps: readonly (Json & { urn: string; newInputs?: Json })[];
  };
  const old = new Map(checkpoint.latest.resources.map((resource) => [resource.urn, resource]));
  return JSON.stringify({
    config: CONFIG,
    ...rest,
    steps: steps.map(({ newInputs, ...step }) => {
      const before = old.get(step.urn);
      return {
        ...step,
        oldState: before,
        newState: { ...before, inputs: { ...before?.inputs, ...newInputs } },
      };
    }),
  });
}

test("the CLI's preview of another stats port, check, parameter and pooler's name", () => {
  const made = review(readPreview(wholePreview(), "the CLI's"), { kind: "state" }, "production");
  expect(made.isComplete).toBe(true);
  expect(made.writes).toBe("interrupted");
  expect(
    made.places.map(
      ({ place, role, effect, writes }) => `${place.kind} ${place.name} ${role ?? "-"} ${effect} ${writes}`,
    ),
  ).toEqual([
    "site dal-01 primary reload nothing",
    "site chi-02 standby replace nothing",
    "router dal-01 - replace interrupted",
  ]);
  expect(
    made.places.flatMap(({ findings }) => findings.filter(({ effect }) => effect === "unknown")),
  ).toEqual([]);
  // Long lines are shortened in the data, paths among them.
  expect(made.texts.flatMap(({ places }) => places.map(({ name }) => name))).toEqual([
    ...["chi-02", "chi-02", "dal-01", "dal-01"],
  ]);
});
