import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const decisions = readdirSync(join(root, "docs/decisions")).map((name) => `docs/decisions/${name}`);
const pages = readdirSync(join(root, "docs"))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);

/** Anchors as GitHub makes them of headings. */
function anchors(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("the documentation", () => {
  it.each(["README.md", ...pages, ...decisions])("%s links to what is there", (page) => {
    for (const [, target = ""] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      expect(existsSync(join(root, file)), `${page}: ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchors(read(file)), `${page}: ${target}`).toContain(anchor);
    }
  });

  it("tells of every page from the README, by one step at most", () => {
    const known = ["README.md", ...pages].map(read).join("\n");
    for (const page of pages) expect(known).toContain(page.replace("docs/", ""));
  });

  it("explains every verdict of topology, and no other", () => {
    const codes = [...read("infra/runbooks/judge/finding.ts").matchAll(/^ {2}\| "([a-z-]+)"/gm)].map(
      ([, code]) => code,
    );
    const told = [...read("docs/troubleshooting.md").matchAll(/^\| `([a-z-]+)` /gm)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(10);
    expect(told.toSorted()).toEqual(codes.toSorted());
  });

  it("names only commands that are there", () => {
    for (const page of ["README.md", ...pages])
      for (const [, command = ""] of read(page).matchAll(/`(bin\/[a-z-]+)/g))
        expect(existsSync(join(root, command)), `${page}: ${command}`).toBe(true);
  });
});
