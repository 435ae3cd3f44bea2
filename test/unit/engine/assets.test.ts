import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { beforeAll, describe, expect, test } from "vitest";

import { hashAssets } from "../../../infra/engine/assets.ts";
import { Archive, Asset, Secret } from "../../../infra/engine/values.ts";

/**
 * GNU tar's digest of the same files: `tar --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0600
 * -b1 -cf - empty hello.txt inner/thousand inner.txt | sha256sum`.
 */
const TAR_DIGEST = "f2a65d62de69d3ec51dbb0cb31dc604eacbb25768398306206962b51afe9ab89";
const HELLO_DIGEST = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "assets-"));
  await mkdir(join(directory, "a", "inner"), { recursive: true });
  await mkdir(join(directory, "a", ".pulumi"));
  await writeFile(join(directory, "a", "hello.txt"), "hello\n");
  await writeFile(join(directory, "a", "empty"), "");
  await writeFile(join(directory, "a", "inner", "thousand"), "x".repeat(1000));
  await writeFile(join(directory, "a", "inner.txt"), "ab");
  await writeFile(join(directory, "a", ".pulumi", "skip"), "secret");
  await writeFile(join(directory, "raw.zip"), "hello\n");
});

async function hashOf(value: Asset | Archive): Promise<string> {
  const hashed = await hashAssets(value, directory);
  return (hashed as Asset | Archive).hash;
}

describe("hashes", () => {
  test("of assets are those of their bytes, texts and files alike", async () => {
    expect(await hashOf(new Asset({ text: "hello\n" }, ""))).toBe(HELLO_DIGEST);
    expect(await hashOf(new Asset({ path: "a/hello.txt" }, ""))).toBe(HELLO_DIGEST);
  });

  test("of a folder are those of the same files in a tar, without .pulumi", async () => {
    expect(await hashOf(new Archive({ path: "a" }, ""))).toBe(TAR_DIGEST);
  });

  test("of a map of assets depend on names and contents alone", async () => {
    const assets = {
      "inner.txt": new Asset({ text: "ab" }, ""),
      empty: new Asset({ text: "" }, ""),
      "hello.txt": new Asset({ path: join(directory, "a", "hello.txt") }, ""),
      inner: new Archive({ assets: { thousand: new Asset({ text: "x".repeat(1000) }, "") } }, ""),
    };
    expect(await hashOf(new Archive({ assets }, ""))).toBe(TAR_DIGEST);
  });

  test("of an archive file are those of the file", async () => {
    expect(await hashOf(new Archive({ path: "raw.zip" }, ""))).toBe(HELLO_DIGEST);
  });

  test("are filled in wherever an asset stands, and left alone where they are known", async () => {
    const known = new Asset({ text: "x" }, "known");
    const hashed = await hashAssets(
      { list: [new Secret(new Asset({ text: "hello\n" }, "")), known] },
      directory,
    );
    expect(hashed).toEqual({ list: [new Secret(new Asset({ text: "hello\n" }, HELLO_DIGEST)), known] });
  });

  test("of what cannot be read are errors that name it", async () => {
    await expect(hashOf(new Asset({ path: "gone.txt" }, ""))).rejects.toThrow(/gone\.txt/);
    await expect(hashOf(new Archive({ path: "a/hello.txt" }, ""))).rejects.toThrow(
      /a\/hello\.txt is neither a directory nor/,
    );
  });
});
