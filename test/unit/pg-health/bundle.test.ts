import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bundleSidecar } from "../../../components/pg-health/build.ts";

const CHECKOUT = fileURLToPath(new URL("../../../", import.meta.url));

let directory: string;
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "pg-health-")));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the bundle alone: no node_modules, no TypeScript, nothing of this checkout. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): { code: number; stderr: string } {
  writeFileSync(`${directory}/pg-health.mjs`, bundleSidecar());
  try {
    execFileSync(process.execPath, [`${directory}/pg-health.mjs`, ...args], {
      env,
      cwd: directory,
      stdio: "pipe",
    });
    return { code: 0, stderr: "" };
  } catch (error) {
    const failure = error as { status: number; stderr: Buffer };
    return { code: failure.status, stderr: failure.stderr.toString() };
  }
}

describe("bundleSidecar", () => {
  it("is the same in another checkout, and names no path", () => {
    const other = `${directory}/other/place`;
    mkdirSync(other, { recursive: true });
    cpSync(`${CHECKOUT}components/pg-health`, `${other}/components/pg-health`, { recursive: true });
    for (const name of ["node_modules", "package.json", "tsconfig.json"])
      symlinkSync(`${CHECKOUT}${name}`, `${other}/${name}`);
    const script = "const m = await import(process.argv[1]); process.stdout.write(m.bundleSidecar());";
    const text = execFileSync(
      process.execPath,
      ["--input-type=module", "-e", script, `${other}/components/pg-health/build.ts`],
      { encoding: "utf8", maxBuffer: 16 * 1024 * 1024 },
    );
    expect(text === bundleSidecar()).toBe(true);
    expect(text).not.toContain("node_modules");
    expect(text).not.toContain(CHECKOUT);
  });

  it("runs alone and says what is wrong with its configuration", () => {
    expect(run(["serve"], { HEATWAVE_CONF: `${directory}/none` })).toEqual({
      code: 2,
      stderr: `pg-health: ${directory}/none/pg-health.json: cannot be read (ENOENT)\n`,
    });
    writeFileSync(`${directory}/pg-health.json`, '{"site": "dal-01"}');
    expect(run(["serve"], { HEATWAVE_CONF: directory })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("pg-health.json.sites: nothing is not a list") as string,
    });
  });

  it("tells wrong usage from a brain that does not run", () => {
    expect(run(["flip"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("unknown command flip") as string,
    });
    expect(run(["found", "--timeout", "soon"])).toMatchObject({ code: 2 });
    expect(run(["found", "--tiemout", "5"])).toMatchObject({ code: 2 });
    const started = performance.now();
    expect(run(["found", "--timeout", "0.7"], { HEATWAVE_CONTROL: directory })).toMatchObject({ code: 6 });
    expect(performance.now() - started).toBeGreaterThan(650);
    expect(run(["ping"], { HEATWAVE_CONTROL: directory })).toMatchObject({
      code: 6,
      stderr: expect.stringContaining("ENOENT") as string,
    });
  });
});
