import { expect } from "vitest";
import type { Ran } from "./rehearsal.ts";

/**
 * Operation and logical name of all that a preview would touch, in the order of the words.
 * @param preview of `--json`; one with an error among its diagnostics fails the test
 */
export function touchedBy({ stdout }: Ran): string[] {
  const { steps, diagnostics = [] } = JSON.parse(stdout) as {
    readonly steps: readonly { readonly op: string; readonly urn: string }[];
    readonly diagnostics?: readonly { readonly severity: string; readonly message: string }[];
  };
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return steps
    .filter(({ op }) => op !== "same")
    .map(({ op, urn }) => `${op} ${urn.split("::").at(-1) ?? ""}`)
    .toSorted();
}

/** Fails the test where the engine would change anything in the world. */
export async function expectClean(world: {
  engine: (...args: readonly string[]) => Promise<Ran>;
}): Promise<void> {
  const preview = await world.engine("preview", "--expect-no-changes");
  expect(preview, preview.stdout + preview.stderr).toMatchObject({ code: 0 });
}
