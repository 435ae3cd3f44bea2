import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostToolText } from "../../../components/docker-host/host-tool.ts";

/** One dataset under the volume's folder, as OpenZFS answers for it. */
const standIn = join(import.meta.dirname, "../../support/stand-in-zfs.sh");

describe("host-tool's volumes and snapshots", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "host-tool-"));
    for (const folder of ["bin", "path", "data"]) mkdirSync(join(root, folder));
    writeFileSync(join(root, "bin/host-tool"), hostToolText());
    command("docker", `#!/bin/sh\n[ "$5" = data ] && echo ${root}/data\n`);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const command = (name: string, text: string): void => {
    writeFileSync(join(root, "path", name), text);
    chmodSync(join(root, "path", name), 0o755);
  };
  const withZfs = (): void => {
    copyFileSync(standIn, join(root, "path/zfs"));
    const text = readFileSync(standIn, "utf8");
    command(
      "zfs",
      text.replaceAll("/var/lib/docker", root).replace("/var/lib/zfs-stand-in", `${root}/snapshots`),
    );
  };
  const tool = (...args: readonly string[]): { code: number | null; out: string; err: string } => {
    const { status, stdout, stderr } = spawnSync("sh", [join(root, "bin/host-tool"), ...args], {
      encoding: "utf8",
      env: { PATH: `${join(root, "path")}:/usr/bin:/bin` },
    });
    return { code: status, out: stdout, err: stderr };
  };

  it("tells the free bytes, and no dataset where there is none", () => {
    const { code, out } = tool("volume", "data");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ free: expect.any(Number) as number, dataset: null });
  });

  it("takes a snapshot once, and deletes it once", () => {
    withZfs();
    expect(JSON.parse(tool("volume", "data").out)).toMatchObject({ dataset: "rpool/docker" });
    for (let time = 0; time < 2; time += 1)
      expect(tool("snapshot", "data", "heatwave-x")).toEqual({
        code: 0,
        out: "rpool/docker@heatwave-x\n",
        err: "",
      });
    expect(readFileSync(`${root}/snapshots`, "utf8")).toBe("rpool/docker@heatwave-x\n");
    for (let time = 0; time < 2; time += 1)
      expect(tool("unsnapshot", "data", "heatwave-x")).toEqual({ code: 0, out: "", err: "" });
    expect(readFileSync(`${root}/snapshots`, "utf8")).toBe("");
  });

  it("says which volume is missing, and takes no snapshot where there is no dataset", () => {
    expect(tool("volume", "other")).toMatchObject({ code: 1, err: "error: no volume other on this host\n" });
    expect(tool("snapshot", "data", "heatwave-x")).toMatchObject({
      code: 1,
      err: "error: volume data lies on no ZFS dataset\n",
    });
  });
});
