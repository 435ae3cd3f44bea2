import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostToolText } from "../../../components/docker-host/host-tool.ts";

/** Undoes what a runbook did at a router: the cut, and the hold. */
const BACK = "set server pg-primary/dal-01 state ready";
const DOWN = "set server pg-primary_probe/dal-01 health down";
const OWNERS = "pg-primary_probe/dal-01 pg-primary/chi-02";
const THROUGH = "set maxconn frontend pg-primary 2000";

const CFG = `
listen pg-primary
  option httpchk GET /
  server dal-01 pgbouncer:6432 track pg-primary_probe/dal-01 resolvers docker
  server chi-02 100.68.157.49:6432 check port 8008
backend pg-primary_probe
  option httpchk GET /
  server dal-01 pg-health:8008 check resolvers docker
listen pg-replica
  option httpchk GET /replica
  server chi-02 100.68.157.49:6432 check port 8008
`;

describe("host-tool's guard", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "host-tool-"));
    for (const folder of ["bin", "path", "conf"]) mkdirSync(join(root, folder));
    const file = (path: string, text: string): void => {
      writeFileSync(join(root, path), text);
    };
    file("bin/host-tool", hostToolText());
    file(
      "conf/start.sh",
      readFileSync(new URL("../../../components/router/source/start.sh", import.meta.url), "utf8"),
    );
    file("conf/haproxy.cfg", CFG);
    // The router's container is this machine, and HAProxy notes what it is told. (BusyBox's read has a limit, dash's none.)
    file("path/docker", `#!/bin/sh\nshift 5\nexec bash ${join(root, "conf/start.sh")} "$@"\n`);
    file("path/nc", `#!/bin/sh\nexec cat >>${join(root, "told")}\n`);
    for (const name of ["docker", "nc"]) chmodSync(join(root, "path", name), 0o755);
    file("told", "");
    answering("");
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  /** This endpoint answers 200, every other says no. */
  function answering(url: string): void {
    const path = join(root, "path/wget");
    const log = join(root, "asked");
    writeFileSync(path, `#!/bin/sh\nfor url; do :; done\necho "$url" >>${log}\n[ "$url" = "${url}" ]\n`);
    chmodSync(path, 0o755);
    writeFileSync(log, "");
  }

  /** What HAProxy was told once the guard has ended. @param words what the runbook says after it stands */
  async function told(words: readonly string[], ends = true): Promise<readonly string[]> {
    writeFileSync(join(root, "told"), "");
    const guard = spawn("bash", [join(root, "bin/host-tool"), "guard", "router", "1"], {
      env: { ...process.env, PATH: `${join(root, "path")}:${process.env["PATH"] ?? ""}` },
    });
    const closed = once(guard, "close");
    guard.stdin.write(`${BACK}\n${DOWN}\n${OWNERS}\n${THROUGH}\n`);
    expect(String(await once(guard.stdout, "data"))).toBe("armed\n");
    for (const word of words) guard.stdin.write(`${word}\n`);
    if (ends) guard.stdin.end();
    await closed;
    return readFileSync(join(root, "told"), "utf8")
      .split("\n")
      .filter((line) => line !== "");
  }
  const lines = (...commands: readonly string[]): string[] =>
    commands.flatMap((line) => line.split(";")).map((command) => `@1 ${command}`);

  it("tells HAProxy nothing when it is dismissed, before it counts and after", async () => {
    expect(await told(["done"])).toEqual([]);
    expect(await told(["go", "done"])).toEqual([]);
  });

  it("tells HAProxy nothing when its runbook dies before anything was held", async () => {
    expect(await told([])).toEqual([]);
  });

  it("undoes everything when its runbook dies, or takes too long", async () => {
    expect(await told(["go"])).toEqual(lines(BACK, DOWN, THROUGH));
    expect(await told(["go"], false)).toEqual(lines(BACK, DOWN, THROUGH));
  });

  it.each([
    ["the old primary, whose sessions stay", "http://pg-health:8008/", "pg-primary_probe/dal-01", [BACK]],
    ["the new primary", "http://100.68.157.49:8008/", "pg-primary/chi-02", [BACK, DOWN]],
  ])("lets connections through at once to who takes writes: %s", async (_who, url, owner, before) => {
    answering(url);
    expect(await told(["go"])).toEqual(lines(...before, `set server ${owner} health up`, THROUGH));
    // Each write server's own endpoint, and none of the readers'.
    expect(readFileSync(join(root, "asked"), "utf8").trim().split("\n").toSorted()).toEqual([
      "http://100.68.157.49:8008/",
      "http://pg-health:8008/",
    ]);
  });
});
