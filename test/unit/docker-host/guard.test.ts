import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostToolText } from "../../../components/docker-host/host-tool.ts";

/** Commands that undo what a runbook did at a router. */
const UNDO = "set maxconn frontend pg-primary 2000;set server pg-primary/dal-01 state ready";

describe("host-tool's guard", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "host-tool-"));
    for (const folder of ["bin", "path"]) mkdirSync(join(root, folder));
    writeFileSync(join(root, "bin/host-tool"), hostToolText());
    // The router's container is this machine, and HAProxy notes what it is told. (BusyBox's read has a limit, dash's none.)
    writeFileSync(join(root, "path/docker"), '#!/bin/sh\nshift 4\nexec bash "$@"\n');
    writeFileSync(join(root, "path/nc"), `#!/bin/sh\nexec cat >>${join(root, "told")}\n`);
    for (const name of ["docker", "nc"]) chmodSync(join(root, "path", name), 0o755);
    writeFileSync(join(root, "told"), "");
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  /** What HAProxy was told once the guard has ended. @param words what the runbook says after it stands */
  async function told(words: readonly string[], ends = true): Promise<string> {
    const guard = spawn("bash", [join(root, "bin/host-tool"), "guard", "router", "1"], {
      env: { ...process.env, PATH: `${join(root, "path")}:${process.env["PATH"] ?? ""}` },
    });
    const closed = once(guard, "close");
    guard.stdin.write(`${UNDO}\n`);
    expect(String(await once(guard.stdout, "data"))).toBe("armed\n");
    for (const word of words) guard.stdin.write(`${word}\n`);
    if (ends) guard.stdin.end();
    await closed;
    return readFileSync(join(root, "told"), "utf8");
  }
  const undone = `${UNDO.split(";")
    .map((command) => `@1 ${command}`)
    .join("\n")}\n`;

  it("tells HAProxy nothing when it is dismissed, before it counts and after", async () => {
    expect(await told(["done"])).toBe("");
    expect(await told(["go", "done"])).toBe("");
  });

  it("tells HAProxy nothing when its runbook dies before anything was held", async () => {
    expect(await told([])).toBe("");
  });

  it("undoes everything when its runbook dies, or takes too long", async () => {
    expect(await told(["go"])).toBe(undone);
    writeFileSync(join(root, "told"), "");
    expect(await told(["go"], false)).toBe(undone);
  });
});
