import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readInside } from "../../../infra/rehearsal/host-files.ts";

/** A client whose containers are this machine: `exec` runs what it is given here, `cp` packs a file of here. */
const CLIENT = `#!/bin/sh
case $1 in
exec) shift 2; exec "$@" ;;
cp) file=\${2#*:}; exec tar -cf - -C "\${file%/*}" "\${file##*/}" ;;
esac
`;

describe("a file in a container", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "host-files-"));
    writeFileSync(join(folder, "docker"), CLIENT);
    chmodSync(join(folder, "docker"), 0o755);
    vi.stubEnv("PATH", `${folder}${delimiter}${process.env["PATH"] ?? ""}`);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  test.each([["running"], ["exited"]])(
    "is read from its beginning, and from a byte on (%s)",
    async (state) => {
      const path = join(folder, "records");
      writeFileSync(path, "one\ntwo\nthree\n");
      expect((await readInside("host", state, path)).trimEnd()).toBe("one\ntwo\nthree");
      expect((await readInside("host", state, path, 4)).trimEnd()).toBe("two\nthree");
    },
  );

  test.each([["running"], ["exited"]])("is empty where there is none (%s)", async (state) => {
    expect(await readInside("host", state, join(folder, "nothing"))).toBe("");
  });

  // A client that writes for an hour notes more than execa holds by default: that was read as nothing noted at all.
  test("is whole, however long", { timeout: 60_000 }, async () => {
    const path = join(folder, "long");
    const length = 101_000_000;
    writeFileSync(path, Buffer.alloc(length, "x"));
    expect(await readInside("host", "running", path)).toHaveLength(length);
  });
});
