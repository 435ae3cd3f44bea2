import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Command, EngineEvent } from "../../infra/engine/index.ts";
import { runEngine } from "../../infra/engine/index.ts";
import { packages } from "../../infra/engine/providers/index.ts";
import { IMAGE, importImage, LABEL, removeAll } from "../support/docker-fixture.ts";

/** The embedded engine on a program that is not ours, against a real daemon. */
const state = mkdtempSync(join(tmpdir(), "heatwave-foreign-"));

beforeAll(() => {
  removeAll();
  importImage();
});
afterAll(() => {
  removeAll();
  rmSync(state, { recursive: true, force: true });
});

async function run(command: Command, step: number) {
  const events: EngineEvent[] = [];
  const result = await runEngine({
    command,
    cwd: join(import.meta.dirname, "../engine/programs/shop"),
    stack: "dev",
    packages,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: "foreign",
      STEP: String(step),
      IMAGE,
      LABEL,
    },
    onEvent: (event) => events.push(event),
  });
  const errors = events.flatMap((event) =>
    event.kind === "diagnostic" && event.severity === "error" ? [event.message] : [],
  );
  expect(errors).toEqual([]);
  return result;
}

const docker = (...args: string[]): string => execFileSync("docker", args, { encoding: "utf8" }).trim();

describe("a program of somebody else's", () => {
  it("previews what is not known yet, comes up, and previews clean", async () => {
    const preview = await run("preview", 1);
    expect(preview.changes).toMatchObject({ create: 8 });
    expect(docker("ps", "-aq", "--filter", "name=corner-db")).toBe("");

    const up = await run("up", 1);
    expect(up.changes).toMatchObject({ create: 8 });
    expect(up.outputs).toEqual({ greeting: "1" });
    expect(docker("exec", "corner-db", "sh", "-c", 'printf %s "$PASSWORD"')).toBe(
      "hunter2 'and' \"more\" $x \\y",
    );

    expect((await run("preview", 1)).changes).toEqual({ same: 8 });
    expect((await run("refresh", 1)).changes).not.toHaveProperty("update");
    expect((await run("preview", 1)).changes).toEqual({ same: 8 });
  });

  it("keeps the secret out of the state's clear text", () => {
    expect(readFileSync(join(state, ".pulumi/stacks/shop/dev.json"), "utf8")).not.toContain("hunter2");
  });

  it("renames a component by its alias without touching anything", async () => {
    const ids = docker("ps", "-q", "--no-trunc", "--filter", `label=${LABEL}`);
    expect((await run("up", 2)).changes).toEqual({ same: 8 });
    expect(docker("ps", "-q", "--no-trunc", "--filter", `label=${LABEL}`)).toBe(ids);
    expect((await run("preview", 2)).changes).toEqual({ same: 8 });
  });

  it("replaces a container whose environment changed, deleting first, and what was fed by its id", async () => {
    const before = docker("inspect", "--format", "{{.Id}}", "corner-db");
    const volume = docker("volume", "ls", "-q", "--filter", `label=${LABEL}`);
    const up = await run("up", 3);
    expect(up.outputs).toEqual({ greeting: "2" });
    expect(docker("inspect", "--format", "{{.Id}}", "corner-db")).not.toBe(before);
    expect(docker("volume", "ls", "-q", "--filter", `label=${LABEL}`)).toBe(volume);
    expect((await run("preview", 3)).changes).toEqual({ same: 8 });
  });

  it("changes in place what Docker can change in place", async () => {
    const web = docker("ps", "-q", "--no-trunc", "--filter", "name=corner-web");
    const up = await run("up", 4);
    expect(up.changes).toMatchObject({ update: 1 });
    expect(docker("inspect", "--format", "{{.HostConfig.Memory}}", web)).toBe(String(64 * 1024 * 1024));
  });

  it("takes away all that it made, in order", async () => {
    const destroy = await run("destroy", 4);
    expect(destroy.changes).toMatchObject({ delete: 8 });
    for (const kind of [
      ["ps", "-aq"],
      ["network", "ls", "-q"],
      ["volume", "ls", "-q"],
    ]) {
      expect(docker(...kind, "--filter", `label=${LABEL}`)).toBe("");
    }
  });
});
