import { expect } from "vitest";
import { readPreview } from "../../infra/review/preview.ts";
import type { Review } from "../../infra/review/review.ts";
import { review } from "../../infra/review/review.ts";
import type { Rehearsal } from "./rehearsal.ts";

/** What the review says of the change that a world's stack file holds, before it is applied there. */
export async function reviewIn(world: Rehearsal): Promise<Review> {
  const preview = await world.engine("preview", "--json");
  expect(preview.code, preview.stderr).toBe(0);
  return review(readPreview(preview.stdout, "the world's preview"), { kind: "state" }, world.stack);
}

/** `site dal-01: reload, nothing` of each place that something happens to. */
export function effectsOf({ places }: Review): readonly string[] {
  return places
    .filter(({ findings }) => findings.some(({ effect }) => effect !== "none"))
    .map(({ place, effect, writes }) => `${place.kind} ${place.name}: ${effect}, ${writes}`);
}
