import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  askControl,
  ControlUnreachable,
  listenControl,
} from "../../../components/pg-health/sidecar/control.ts";
import type { ControlRoutes } from "../../../components/pg-health/sidecar/control.ts";

let directory: string;
let path: string;
let server: Server | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pg-health-"));
  path = `${directory}/control.sock`;
});
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const ROUTES: ControlRoutes = {
  "POST /found": async (body, say) => {
    say("one");
    await new Promise((resolve) => setImmediate(resolve));
    say("two\nstill two");
    return { ok: true, message: "done", value: body };
  },
  "POST /order": () => Promise.reject(new Error("bug")),
};

async function listen(): Promise<void> {
  server = await listenControl(path, ROUTES, pino({ level: "silent" }));
}

describe("the control socket", () => {
  it("streams progress and ends with the answer", async () => {
    await listen();
    const lines: string[] = [];
    const end = await askControl(path, "POST /found", { timeout: 5 }, 5000, (line) => lines.push(line));
    expect(lines).toEqual(["one", "two\nstill two"]);
    expect(end).toEqual({ ok: true, message: "done", value: { timeout: 5 } });
  });

  it("answers a failure and an unknown route as such", async () => {
    await listen();
    expect(await askControl(path, "POST /order", {}, 5000)).toEqual({
      ok: false,
      kind: "failed",
      message: "bug",
    });
    expect(await askControl(path, "GET /nothing", {}, 5000)).toMatchObject({ ok: false, kind: "unknown" });
  });

  it("is for its own user and group alone, and replaces what a killed process left", async () => {
    writeFileSync(path, "");
    await listen();
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await expect(listenControl(path, ROUTES, pino({ level: "silent" }))).rejects.toThrow(
      "another pg-health answers",
    );
  });

  it("tells who asks that nobody is there, or left on the way", async () => {
    await expect(askControl(path, "GET /facts", {}, 5000)).rejects.toThrow(ControlUnreachable);
    const stuck: ControlRoutes = { "GET /facts": () => new Promise(() => undefined) };
    server = await listenControl(path, stuck, pino({ level: "silent" }));
    const asked = askControl(path, "GET /facts", {}, 5000);
    server.once("request", () => setImmediate(() => server?.closeAllConnections()));
    await expect(asked).rejects.toThrow(ControlUnreachable);
  });
});
