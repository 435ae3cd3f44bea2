import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostToolText } from "../../../components/docker-host/host-tool.ts";

/** What Docker says to `inspect` of the router, and whether the second router starts. */
interface Docker {
  readonly router: "true" | "false";
  readonly run: "starts" | "refuses";
}

describe("host-tool's stand-in", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "host-tool-"));
    for (const folder of ["bin", "path"]) mkdirSync(join(root, folder));
    writeFileSync(join(root, "bin/host-tool"), hostToolText());
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  /** What Docker was asked for, in order. */
  const asked = (): string[] =>
    readFileSync(join(root, "asked"), "utf8")
      .split("\n")
      .filter((line) => line !== "");

  function begin({ router, run }: Docker) {
    const docker = join(root, "path/docker");
    writeFileSync(
      docker,
      `#!/bin/sh
case "$*" in
  inspect*) echo ${router} ;;
  "rm -f"*) echo "rm $3" >>${root}/asked ;;
  stop*) echo "stop $2" >>${root}/asked ;;
  exec*) echo "ping $2" >>${root}/asked ;;
  "run -d --rm"*) echo "holds the address" >>${root}/asked ;;
  run*) ${run === "starts" ? `echo "run $*" >>${root}/asked` : "echo 'no such image' >&2; exit 125"} ;;
esac
`,
    );
    chmodSync(docker, 0o755);
    writeFileSync(join(root, "asked"), "");
    const child = spawn("sh", [join(root, "bin/host-tool"), "stand-in", "vip", "haproxy:3.0", "kamal"], {
      env: { ...process.env, PATH: `${join(root, "path")}:${process.env["PATH"] ?? ""}` },
    });
    const ended = once(child, "exit").then(([code]: unknown[]) => code);
    const said = once(child.stdout, "data").then(([text]: unknown[]) => String(text).trim());
    return { child, ended, said };
  }

  it("serves under the router's name, and goes when the successor answers", async () => {
    const { child, ended, said } = begin({ router: "true", run: "starts" });
    expect(await said).toBe("serving");
    const before = asked();
    expect(before.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      "rm vip-stand-in",
      "run run",
      "ping vip-stand-in",
    ]);
    expect(before[1]).toContain("--network kamal --network-alias vip ");
    expect(before[1]).toContain(`--volume ${root}/vip/conf:/usr/local/etc/haproxy:ro`);
    expect(before[1]).toMatch(/ haproxy:3\.0 \/usr\/local\/etc\/haproxy\/start\.sh run$/);
    child.stdin.end();
    expect(await ended).toBe(0);
    expect(asked().slice(3)).toEqual([
      "ping vip",
      "stop vip-stand-in",
      "rm vip-stand-in",
      "holds the address",
    ]);
  });

  it("does nothing where no router runs", async () => {
    const { child, ended, said } = begin({ router: "false", run: "starts" });
    expect(await said).toBe("absent");
    child.stdin.end();
    expect(await ended).toBe(0);
    expect(asked()).toEqual([]);
  });

  it("says why it cannot, leaves nothing, and holds the host all the same", async () => {
    const { child, ended, said } = begin({ router: "true", run: "refuses" });
    expect(await said).toBe("cannot: no such image");
    expect(child.exitCode).toBeNull();
    child.stdin.end();
    expect(await ended).toBe(0);
    expect(asked()).toEqual(["rm vip-stand-in", "rm vip-stand-in"]);
  });

  it("is refused while a runbook has the host", async () => {
    mkdirSync(join(root, "operations"));
    writeFileSync(
      join(root, "operations/lock.json"),
      '{"host":"dal-01","verb":"flip-db","who":"ann","since":"now","stack":"production"}\n',
    );
    const { child, ended } = begin({ router: "true", run: "starts" });
    let printed = "";
    child.stderr.on("data", (text: Buffer) => (printed += text.toString()));
    expect(await ended).toBe(1);
    expect(printed).toMatch(/dal-01 is locked by flip-db \(ann/);
    expect(asked()).toEqual([]);
  });
});
