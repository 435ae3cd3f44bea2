import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ExecResult } from "../../../infra/hosts/ssh.ts";
import { lookAtHost } from "../../../infra/hosts/host-files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heatwave-look-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The script as a host's shell runs it, with a docker command of the test's. */
function hostWith(docker: string) {
  writeFileSync(join(folder, "docker"), `#!/bin/sh\n${docker}\n`);
  chmodSync(join(folder, "docker"), 0o755);
  return {
    name: "dal-01",
    run: (script: string, args: readonly string[]) =>
      new Promise<ExecResult>((resolve) => {
        const env = { PATH: `${folder}:${process.env["PATH"] ?? ""}` };
        execFile("sh", ["-c", script, "sh", ...args], { env }, (error, stdout, stderr) =>
          resolve({
            exitCode: typeof error?.code === "number" ? error.code : 0,
            stdout,
            stderr,
            output: stdout + stderr,
          }),
        );
      }),
  };
}

test("files are told by their sha256, with what is missing and what is not confirmed", async () => {
  writeFileSync(join(folder, "a b.cfg"), "text\n");
  writeFileSync(join(folder, "pending.cfg"), "text\n");
  writeFileSync(join(folder, ".pending.cfg.pending"), "");
  const path = (name: string): string => join(folder, name);
  const sum = createHash("sha256").update("text\n").digest("hex");
  const seen = await lookAtHost(
    hostWith('[ "$1" = version ] || echo \'[{"Name":"/one"}]\''),
    ["a b.cfg", "missing.cfg", "pending.cfg"].map(path),
    ["one", "two"],
  );
  expect(seen).toEqual({
    files: new Map([
      [path("a b.cfg"), sum],
      [path("pending.cfg"), sum],
    ]),
    unsettled: new Set([path("pending.cfg")]),
    containers: [{ Name: "/one" }],
  });
});

test("a daemon that does not answer is an error, not a host without containers", async () => {
  const host = hostWith("echo 'Cannot connect to the Docker daemon' >&2; exit 1");
  await expect(lookAtHost(host, [], ["one"])).rejects.toThrow("dal-01: Cannot connect to the Docker daemon");
});

test("a host without containers of the stack is not asked for any", async () => {
  await expect(lookAtHost(hostWith("exit 1"), [], [])).resolves.toMatchObject({ containers: [] });
});
