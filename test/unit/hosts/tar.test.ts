import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { tar } from "../../../infra/hosts/tar.ts";

const list = (archive: Buffer): string[] =>
  execFileSync("tar", ["-tf", "-"], { input: archive, encoding: "utf8" }).trim().split("\n");

describe("a tar archive", () => {
  test("gives back names, contents and modes to the system's tar", () => {
    const word = fc.stringMatching(/^[a-z0-9_]{1,40}$/);
    const path = fc.array(word, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(path, fc.uint8Array({ maxLength: 2000 }), (name, content) => {
        const archive = tar([{ name, content, mode: 0o640 }]);
        expect(archive.length % 512).toBe(0);
        const found = execFileSync("tar", ["-xOf", "-", name], { input: archive });
        expect(found.equals(Buffer.from(content))).toBe(true);
      }),
      { numRuns: 30 },
    );
    const verbose = execFileSync("tar", ["-tvf", "-", "--numeric-owner"], {
      input: tar([{ name: "a", content: Buffer.from("x"), mode: 0o640, uid: 999, gid: 7 }]),
      encoding: "utf8",
    });
    expect(verbose).toMatch(/^-rw-r----- 999\/7 +1 /);
  });

  test("holds folders and long paths", () => {
    const long = `${"d".repeat(120)}/${"f".repeat(90)}`;
    const empty = new Uint8Array();
    expect(
      list(
        tar([
          { name: "sub/", content: empty, mode: 0o755 },
          { name: long, content: empty, mode: 0o644 },
        ]),
      ),
    ).toEqual(["sub/", long]);
  });

  test("refuses a path that the format cannot hold", () => {
    expect(() => tar([{ name: "x".repeat(101), content: new Uint8Array(), mode: 0o644 }])).toThrow(
      /too long/,
    );
  });
});
