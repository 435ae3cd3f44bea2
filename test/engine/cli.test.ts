import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const ROOT = join(import.meta.dirname, "..", "..");
const PROGRAM = join(import.meta.dirname, "programs", "commands");

type Env = Readonly<Record<string, string>>;
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "heatwave-cli-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function start(stack: string, args: readonly string[], env: Env = {}) {
  return execa(
    join(ROOT, "bin", "engine"),
    [...args, "--stack", stack, ...(args.includes("--cwd") ? [] : ["--cwd", PROGRAM])],
    {
      reject: false,
      env: {
        PULUMI_BACKEND_URL: `file://${directory}`,
        PULUMI_CONFIG_PASSPHRASE: "correct horse",
        HEATWAVE_OVERLAY: "",
        FORCE_COLOR: "",
        ...env,
      },
    },
  );
}

const engine = async (stack: string, args: readonly string[], env: Env = {}) => start(stack, args, env);
const text = (result: Awaited<ReturnType<typeof engine>>): string => `${result.stdout}\n${result.stderr}`;

/** Resolves when the file is there. */
async function fileExists(path: string): Promise<void> {
  await vi.waitUntil(() => existsSync(path), { timeout: 60_000, interval: 20 });
}

describe("bin/engine", () => {
  test("previews, applies, reports and removes a stack; nothing shows a secret unasked", async () => {
    const preview = await engine("life", ["preview", "--diff"]);
    expect(preview.exitCode).toBe(0);
    expect(preview.stdout).toContain(' + ├─ command:local:Command first\n   │      + create: "echo step 1"');
    expect(preview.stdout).toContain("+ environment: {PASSWORD: [secret]}");
    expect(preview.stdout).toMatch(/Resources: 3 to create, 0 unchanged \(\d+(\.\d)? s\)$/);

    const up = await engine("life", ["up", "--yes"]);
    expect(up.exitCode).toBe(0);
    expect(up.stdout).toContain("+ command:local:Command second created");
    expect(up.stdout).toContain('+ said: "got step 1"');
    expect(up.stdout).toMatch(/Resources: 3 created, 0 unchanged/);

    const clean = await engine("life", ["preview", "--expect-no-changes"]);
    expect([clean.exitCode, clean.stdout]).toEqual([0, expect.stringMatching(/Resources: 3 unchanged/)]);
    const changed = await engine("life", ["preview", "--diff", "--expect-no-changes"], { STEP: "2" });
    expect(changed.exitCode).toBe(7);
    expect(changed.stdout).toContain('~ create: "echo step 1" => "echo step 2"');

    const outputs = await engine("life", ["outputs"]);
    expect(outputs.stdout).toBe('password: [secret]\nsaid: "got step 1"');
    expect((await engine("life", ["outputs", "said"])).stdout).toBe("got step 1");
    expect((await engine("life", ["outputs", "password"])).stderr).toBe(
      'error: output "password" is secret; --show-secrets prints it',
    );
    const json = await engine("life", ["outputs", "--json", "--show-secrets"]);
    expect(JSON.parse(json.stdout)).toEqual({ said: "got step 1", password: "hunter2" });

    for (const shown of [preview, up, clean, changed, outputs]) {
      expect(text(shown)).not.toContain("hunter2");
      expect(text(shown)).not.toContain("\u001b[");
    }
    const destroy = await engine("life", ["destroy", "--yes"]);
    expect([destroy.exitCode, destroy.stdout]).toEqual([0, expect.stringMatching(/Resources: 3 deleted/)]);
  });

  test("speaks JSON as the Pulumi CLI does", async () => {
    const up = await engine("json", ["up", "--yes", "--json"]);
    const lines = up.stdout.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map((line) => line["sequence"])).toEqual(lines.map((_line, index) => index));
    const kinds = lines.map((line) => Object.keys(line).find((key) => key.endsWith("Event")));
    expect(kinds[0]).toBe("preludeEvent");
    expect(kinds.slice(-2)).toEqual(["summaryEvent", "cancelEvent"]);
    expect(lines.at(-2)).toMatchObject({
      summaryEvent: { resourceChanges: { create: 3 }, result: "succeeded" },
    });

    const preview = await engine("json", ["preview", "--json"], { STEP: "2" });
    const digest = JSON.parse(preview.stdout) as { steps: readonly Record<string, unknown>[] };
    expect(digest).toMatchObject({
      changeSummary: { update: 2, same: 1 },
      duration: expect.any(Number) as number,
    });
    expect(digest.steps.map((step) => step["op"])).toEqual(["same", "update", "update"]);
    expect(digest.steps[1]).toMatchObject({
      op: "update",
      urn: "urn:pulumi:json::commands::command:local:Command::first",
      provider: expect.stringMatching(/::default_1_2_1::/) as string,
      oldState: { inputs: { create: "echo step 1", environment: { PASSWORD: "[secret]" } } },
      newState: { inputs: { create: "echo step 2" } },
      diffReasons: ["create"],
      detailedDiff: { create: { kind: "update", inputDiff: expect.any(Boolean) as boolean } },
    });
    // What hangs on the changed command is not known until it has run.
    expect(digest.steps[2]).toMatchObject({
      newState: { inputs: { create: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" } },
    });
    expect(text(up) + text(preview)).not.toContain("hunter2");
  });

  test("tells wrong usage from failure", async () => {
    expect((await engine("usage", ["preview", "--no-such"])).exitCode).toBe(2);
    expect((await engine("usage", ["up", "--parallel", "0", "--yes"])).exitCode).toBe(2);
    const unasked = await engine("usage", ["up"]);
    expect([unasked.exitCode, unasked.stderr]).toEqual([
      2,
      "error: --yes must be passed to up where no question can be asked",
    ]);
    const wrongName = await engine("no such stack", ["preview"]);
    expect([wrongName.exitCode, wrongName.stderr]).toEqual([
      1,
      expect.stringMatching(/^error: stack "no such stack": allowed/),
    ]);
    const noState = await engine("usage", ["outputs"]);
    expect([noState.exitCode, noState.stderr]).toEqual([
      1,
      expect.stringMatching(/^error: stack "usage" has no state in /),
    ]);
  });

  test("takes a slip in a stack's name for one, not for a new stack", async () => {
    const project = await mkdtemp(join(directory, "project-"));
    await writeFile(join(project, "Pulumi.yaml"), "name: commands\nruntime: nodejs\n");
    for (const name of ["staging", "production"]) await writeFile(join(project, `Pulumi.${name}.yaml`), "");
    for (const args of [["preview"], ["up", "--yes"], ["outputs"]]) {
      const slip = await engine("prodution", [...args, "--cwd", project]);
      expect([slip.exitCode, slip.stdout, slip.stderr]).toEqual([
        2,
        "",
        'error: stack "prodution": no such stack, neither a file nor a state\n' +
          `  allowed: production, staging (the Pulumi.<stack>.yaml files in ${project})\n` +
          "  fix: did you mean production? For a new stack, write Pulumi.prodution.yaml first",
      ]);
    }
  });

  test("counts what failed; what the program writes to stderr after it is for the events only", async () => {
    const up = await engine("failing", ["up", "--yes"], { FAIL: "1" });
    expect([up.exitCode, up.stderr]).toEqual([1, ""]);
    expect(up.stdout).toContain("a line from before the failure");
    expect(up.stdout).not.toContain("a line from after the failure");
    expect(up.stdout).toMatch(/\nerror: exit status 3/);
    expect(up.stdout).toMatch(/Resources: 1 created, 1 failed, 0 unchanged \([^)]*\)$/);

    const events = await engine("failing", ["up", "--yes", "--json"], { FAIL: "1" });
    expect(events.stdout).toMatch(
      /"message":"a line from after the failure\\n","color":"never","severity":"debug"/,
    );
  });

  test("finishes what runs when it is interrupted, and says what is locked meanwhile", async () => {
    const go = join(directory, "go");
    const running = start("stop", ["up", "--yes"], { WAIT: go });
    await fileExists(`${go}.begun`);

    const second = await engine("stop", ["up", "--yes"]);
    expect([second.exitCode, second.stderr]).toEqual([
      1,
      expect.stringMatching(/locked by 1 lock.*\n.*created by .*@/),
    ]);
    const state = await readFile(join(directory, ".pulumi", "stacks", "commands", "stop.json"), "utf8");
    expect(state).toContain('"type":"creating"');

    let said = "";
    running.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    running.kill("SIGINT");
    await vi.waitUntil(() => said.includes("Stopping: running steps are finished first"), {
      timeout: 60_000,
    });
    await writeFile(go, "");
    const stopped = await running;
    expect(stopped.exitCode).toBe(1);
    expect(stopped.stdout).toContain("command:local:Command first created");
    expect(stopped.stdout).not.toContain("second created");
    const after = JSON.parse(
      await readFile(join(directory, ".pulumi", "stacks", "commands", "stop.json"), "utf8"),
    ) as { checkpoint: { latest: { resources: readonly { urn: string }[]; pending_operations?: unknown } } };
    expect(after.checkpoint.latest.pending_operations).toBeUndefined();
    expect(after.checkpoint.latest.resources.map((one) => one.urn.split("::").at(-1))).toContain("first");
    expect(await readdir(join(directory, ".pulumi", "locks", "organization", "commands", "stop"))).toEqual(
      [],
    );
  });

  test("a killed run needs no hand: its lock is removed and what it left under way is cleared up", async () => {
    const go = join(directory, "never");
    const running = start("killed", ["up", "--yes"], { WAIT: go });
    await fileExists(`${go}.begun`);
    running.kill("SIGKILL");
    await running;
    await writeFile(go, "");

    const again = await engine("killed", ["up", "--yes"]);
    expect(again.exitCode).toBe(0);
    expect(again.stdout).toMatch(
      /removed a lock whose process has ended on this machine: created by .*\(pid \d+\)/,
    );
    expect(again.stdout).toMatch(/killed in the middle of 1 operation[^]*creating .*first: it is done again/);
  });

  test("cancel removes a lock that is not certainly dead, and says whose it was", async () => {
    const locks = join(directory, ".pulumi", "locks", "organization", "commands", "elsewhere");
    await mkdir(locks, { recursive: true });
    const owner = { pid: 7, username: "ada", hostname: "elsewhere", timestamp: "2026-11-22T05:00:00Z" };
    await writeFile(join(locks, "theirs.json"), JSON.stringify(owner));
    expect((await engine("elsewhere", ["cancel"])).stdout).toBe(
      "Removed the lock created by ada@elsewhere (pid 7) at 2026-11-22T05:00:00Z.",
    );
    expect(await readdir(locks)).toEqual([]);
  });
});
