/**
 * pg-health: the health endpoint of a site and the brain that decides how its PostgreSQL starts.
 *
 *   pg-health.mjs [serve]                     run
 *   pg-health.mjs ping                        exit 0 when the running one answers: the container's healthcheck
 *   pg-health.mjs check conf | secrets          check a text (stdin) as `serve` will
 *   pg-health.mjs found [--timeout SECONDS]   found this site, or see that it is
 *   pg-health.mjs facts | peers               what the running one knows, as JSON
 *   pg-health.mjs order start|stop|restart|reload|promote [immediate]
 *
 * Exit codes: 0 done, 2 wrong usage or configuration, 3 timed out, 4 refused, 5 failed, 6 no running pg-health answers.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { checkConfig, checkSecrets, liveSecrets } from "./config.ts";
import { askControl, ControlUnreachable } from "./control.ts";
import type { ControlEnd, ControlRoutes } from "./control.ts";
import { ConfigError, readJson } from "./json-reader.ts";
import { Sidecar } from "./serve.ts";

const USAGE =
  "usage: pg-health.mjs [serve | ping | check conf | check secrets | found [--timeout SECONDS] | facts | peers | order VERB [MODE]]";
const EXIT = { done: 0, usage: 2, timeout: 3, refused: 4, failed: 5, unreachable: 6 } as const;

const conf = process.env["HEATWAVE_CONF"] ?? "/etc/heatwave";
const secrets = process.env["HEATWAVE_SECRETS"] ?? "/run/heatwave-secrets";
const state = process.env["HEATWAVE_STATE"] ?? "/var/lib/heatwave";
const boot = process.env["HEATWAVE_BOOT"] ?? "/run/heatwave-boot";
const control = `${process.env["HEATWAVE_CONTROL"] ?? "/run/pg-health"}/control.sock`;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function complain(line: string): void {
  process.stderr.write(`pg-health: ${line}\n`);
}

async function serve(): Promise<void> {
  const settings = checkConfig(readJson(`${conf}/pg-health.json`), `${conf}/pg-health.json`);
  const log = pino({
    level: settings.logLevel,
    base: { site: settings.site },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
  const hidden = liveSecrets(`${secrets}/pg-health.json`);
  const sidecar = new Sidecar(settings, hidden, { state, control, boot }, log);
  await sidecar.start();
  let leaving = false;
  const leave = (signal: string): void => {
    if (leaving) return;
    leaving = true;
    log.info({ signal }, "leaving");
    void sidecar.stop().finally(() => process.exit(EXIT.done));
  };
  process.on("SIGTERM", () => leave("SIGTERM"));
  process.on("SIGINT", () => leave("SIGINT"));
}

function codeOf(end: ControlEnd): number {
  if (end.ok) return EXIT.done;
  switch (end.kind) {
    case "timeout":
    case "silent":
      return EXIT.timeout;
    case "refused":
      return EXIT.refused;
    default:
      return EXIT.failed;
  }
}

async function ask(route: keyof ControlRoutes, body: unknown, limitMs: number): Promise<number> {
  // Progress goes to stderr, which an `up` shows while it waits; stdout is the answer alone.
  const end = await askControl(control, route, body, limitMs, (line) => process.stderr.write(`${line}\n`));
  if (end.value !== undefined && route.startsWith("GET ")) print(JSON.stringify(end.value, null, 2));
  else if (end.ok) print(end.message);
  else complain(`${end.kind ?? "failed"}: ${end.message}`);
  return codeOf(end);
}

/** Founds, and waits for a pg-health that is still starting or was restarted on the way: founding again is harmless. */
async function found(timeout: number): Promise<number> {
  const deadline = performance.now() + timeout * 1000;
  for (let first = true; ; first = false) {
    const left = Math.round(deadline - performance.now());
    try {
      // The brain keeps the founding's time; this limit is for one that hangs.
      return await ask("POST /found", { timeout: Math.max(1, left / 1000) }, Math.max(1000, left) + 30_000);
    } catch (error) {
      if (!(error instanceof ControlUnreachable) || left <= 0) throw error;
      if (first) complain(`waiting: no running pg-health answers yet (${error.message})`);
      await delay(Math.min(250, left));
    }
  }
}

/** Checks a text (stdin) before it is put in force, as `serve` will. */
function check(kind: string | undefined): void {
  if (kind !== "conf" && kind !== "secrets")
    throw new TypeError(`check takes conf or secrets, not ${kind ?? "nothing"}`);
  const text: unknown = JSON.parse(readFileSync(0, "utf8"));
  if (kind === "conf") checkConfig(text, "pg-health.json");
  else checkSecrets(text, "pg-health.json");
}

async function main(args: readonly string[]): Promise<number | undefined> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { timeout: { type: "string", default: "600" } },
    allowPositionals: true,
  });
  const [command = "serve", ...rest] = positionals;
  const timeout = Number(values.timeout);
  if (!(timeout > 0)) throw new TypeError(`--timeout: ${values.timeout} is no number of seconds`);
  switch (command) {
    case "serve":
      await serve();
      return undefined;
    case "ping":
      return ask("GET /liveness", undefined, 3000);
    case "facts":
      return ask("GET /facts", undefined, 10_000);
    case "peers":
      return ask("GET /peers", undefined, 60_000);
    case "order":
      return ask("POST /order", { verb: rest[0], mode: rest[1] ?? "fast" }, 130_000);
    case "check":
      check(rest[0]);
      return EXIT.done;
    case "found":
      return found(timeout);
    default:
      throw new TypeError(`unknown command ${command}`);
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    if (code !== undefined) process.exitCode = code;
  },
  (error: unknown) => {
    complain((error as Error).message);
    if (error instanceof ControlUnreachable) process.exit(EXIT.unreachable);
    if (error instanceof TypeError) complain(USAGE);
    process.exit(error instanceof ConfigError || error instanceof TypeError ? EXIT.usage : EXIT.failed);
  },
);
