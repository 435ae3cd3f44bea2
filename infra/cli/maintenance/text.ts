import type { TaskEvent } from "../../maintenance/carry-out.ts";
import type { MaintenanceEnd } from "../../maintenance/run.ts";
import { isUp } from "../../maintenance/seen.ts";
import type { HostStatus, Status } from "../../maintenance/status.ts";
import type { Plan } from "../../maintenance/task.ts";
import { PHASES } from "../../maintenance/task.ts";
import { durationText, spanText } from "../../runbooks/words.ts";
import type { Paint } from "../engine/paint.ts";

/** What bin/maintenance says, as lines. Pure. */

/** What will be done, in the order in which it is; notes are no operator's business. */
export function planLines(plan: Plan, paint: Paint): readonly string[] {
  const tasks = PHASES.flatMap((phase) => plan.tasks.filter((task) => task.phase === phase));
  return [
    ...tasks
      .filter(({ phase }) => phase !== "note" && phase !== "forget")
      .map(({ host, title }) => `  ${host}: ${title}`),
    ...plan.silent.map(
      ({ host, why }) => `${paint.yellow("!")} ${host} cannot be asked, and is left out: ${why}`,
    ),
  ];
}

export function eventLine(event: TaskEvent, paint: Paint): string {
  const what = `${event.task.host}: ${event.task.title}`;
  switch (event.kind) {
    case "done":
      return `${paint.green("✓")} ${what} ${paint.dim(spanText(event.ms))}`;
    case "failed":
      return `${paint.red("✗")} ${what} ${paint.dim(spanText(event.ms))}: ${event.why}`;
    case "skipped":
      return `${paint.yellow("-")} ${what}: ${event.why}`;
  }
}

export function endLines(
  { verb, result, failed, left, maintenance }: MaintenanceEnd,
  paint: Paint,
): readonly string[] {
  const again = `bin/maintenance ${verb} ${maintenance.stack}`;
  const said = [
    ...left.map((text) => `${paint.yellow("!")} ${text}`),
    ...(result === "attention" ? failed.map(({ host, why }) => `${paint.red("✗")} ${host}: ${why}`) : []),
  ];
  if (result === "attention")
    return [
      ...said,
      `maintenance ${verb}: ${paint.red("needs attention")}, not all of it could be done`,
      `  next   mend what is named above, then ${again}`,
    ];
  const words = {
    up: { done: "the app is down", nothing: `the app is down already, ${openedText(maintenance)}` },
    down: { done: "all that was stopped runs again", nothing: "there is no maintenance to end" },
  };
  return [
    ...said,
    `maintenance ${verb}: ${result === "done" ? paint.green("done") : "nothing to do"}, ${words[verb][result]}`,
    ...(verb === "up" ? [`  next   bin/maintenance down ${maintenance.stack}`] : []),
  ];
}

export function statusLines(status: Status, paint: Paint): readonly string[] {
  const head = {
    off: "no maintenance is in force",
    on: `${paint.yellow("in maintenance")} ${openedText(status)}`,
    partly: `${paint.red("partly in maintenance")} ${openedText(status)}`,
  }[status.state];
  return [
    `${status.stack}: ${head}`,
    ...table(status, paint),
    ...status.open.map((text) => `${paint.yellow("!")} ${text}`),
    ...nextLines(status),
  ];
}

function nextLines({ state, next }: Status): readonly string[] {
  const [first, second] = next;
  if (first === undefined) return [];
  if (state !== "partly") return [`next   ${first}`];
  return [`next   ${first} finishes it, ${second ?? ""} takes it back`];
}

function openedText({ since, who, at }: Status): string {
  if (since === null) return "";
  const age = durationText(Math.max(0, (Date.parse(at) - Date.parse(since)) / 1000));
  return `since ${since.slice(0, 19).replace("T", " ")} UTC (${age}), by ${who ?? "?"}`;
}

function table(status: Status, paint: Paint): readonly string[] {
  const rows = status.hosts.flatMap((host) => rowsOf(host, status.state !== "off"));
  if (rows.length === 0) return [];
  const head = ["HOST", "WHAT", "ROLE", "NOW", "WHEN IT ENDS"];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [paint.dim(line(head)), ...rows.map(line)];
}

/** @param open false: nothing is about to end */
function rowsOf(host: HostStatus, open: boolean): readonly (readonly string[])[] {
  if (host.silent !== null) return [[host.name, "?", "", "cannot be asked", ""]];
  const end = (stoppedHere: boolean, words: string, up: boolean): string =>
    open ? (stoppedHere ? words : up ? "not touched yet" : "stays as it is") : "";
  return [
    ...host.services.map(({ name, container, state, stoppedHere }) => [
      host.name,
      `${container} ${name}`,
      "",
      state === "stopped" ? "503" : (state ?? "unknown"),
      end(stoppedHere, "serves again", state !== "stopped"),
    ]),
    ...host.containers.map(({ name, role, state, health, stoppedHere }) => [
      host.name,
      name,
      role ?? "",
      state === null ? "gone" : health === null || state !== "running" ? state : `${state}, ${health}`,
      end(stoppedHere, "is started", state !== null && isUp({ state })),
    ]),
  ];
}
