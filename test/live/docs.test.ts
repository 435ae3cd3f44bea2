import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, describe, expect, it } from "vitest";
import { Rehearsal } from "../support/rehearsal.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");

/** Lines of the blocks that are marked to be run in a rehearsal, in the order in which a reader meets them. */
function lines(page: string): readonly string[] {
  const text = readFileSync(join(root, "docs", page), "utf8");
  return [...text.matchAll(/^```sh rehearsal\n([^]*?)^```$/gm)].flatMap(([, block = ""]) =>
    block.split("\n").filter((line) => line !== ""),
  );
}

const pages = readdirSync(join(root, "docs")).filter(
  (page) => page.endsWith(".md") && lines(page).length > 0,
);

/** What the documentation tells a reader to type in a rehearsal, typed. */
describe("the documentation's commands", { timeout: 1_800_000 }, () => {
  afterAll(async () => {
    await world.down();
    // A migration has a world of its own, which it removes unless a step of it failed.
    await world.run("--world", `${world.world}-migration`, "down");
  });

  it("are marked somewhere", () => {
    expect(pages).toContain("getting-started.md");
  });

  it.each(pages.flatMap((page) => lines(page).map((line) => [page, line] as const)))(
    "%s: %s",
    async (_, line) => {
      expect(line).toMatch(/^bin\/rehearse /);
      // In a world of the test's own, with images that need no registry.
      const here = line.replace(/^bin\/rehearse/, `bin/rehearse --world ${world.world} --yes --stand-ins`);
      const ran = await execa("sh", ["-c", here], {
        cwd: root,
        reject: false,
        all: true,
        stdin: "ignore",
        env: { RECOVERY_YES: "1" },
      });
      expect(ran.exitCode, ran.all).toBe(0);
    },
  );
});
