import type { Finding, Level } from "../../runbooks/judge.ts";
import type { ListenerView, Observation, SiteView, SlotView } from "../../runbooks/observe/observation.ts";
import { bytesText, durationText } from "../../runbooks/words.ts";
import type { Paint } from "../engine/paint.ts";
import { wrapLine } from "../engine/wrap-text.ts";

/** The table that `topology` prints. Pure. */

export interface TextOptions {
  readonly paint: Paint;
  /** Width of the terminal; undefined = no terminal: nothing is wrapped. */
  readonly columns: number | undefined;
}

type Cell = readonly [text: string, color?: (text: string) => string];

export function topologyLines(
  seen: Observation,
  findings: readonly [Finding, ...Finding[]],
  { paint, columns }: TextOptions,
): readonly string[] {
  const taking = seen.primaries.length === 0 ? "none" : seen.primaries.join(", ");
  const agree = seen.primaries.length === 1 && seen.primaries[0] === seen.declared;
  const head = `primary: ${taking}${agree ? "" : ` (declared ${seen.declared})`}`;
  const lines = [
    `${paint.bold(seen.stack)}  ${agree ? head : paint.yellow(head)}  ${paint.dim(`${seen.at.slice(0, 19).replace("T", " ")} UTC`)}`,
    "",
    ...table(
      ["site", "role", "health", "TL", "position", "lag", "grant"],
      siteBlocks(seen, paint),
      paint,
      columns,
    ),
    "",
    ...table(["router", "listener", "site", "state", "sessions"], routerBlocks(seen, paint), paint, columns),
    ...lockLines(seen, paint, columns),
    "",
    ...findings.flatMap((finding) => findingLines(finding, paint, columns)),
  ];
  return lines.map((line) => line.trimEnd());
}

/** A row of cells and the lines below it. */
interface Block {
  readonly cells: readonly Cell[];
  readonly notes: readonly Cell[];
}

function table(
  head: readonly string[],
  blocks: readonly Block[],
  paint: Paint,
  columns: number | undefined,
): readonly string[] {
  const widths = head.map((title, at) =>
    Math.max(
      title.length,
      ...blocks.map((block) => (block.cells.length === 1 ? 0 : (block.cells[at]?.[0].length ?? 0))),
    ),
  );
  const row = (cells: readonly Cell[]): string =>
    cells
      .map(([text, color], at) => {
        const padded = cells.length === 1 ? text : text.padEnd(widths[at] ?? 0);
        return color === undefined ? padded : color(padded);
      })
      .join("  ");
  const indent = " ".repeat((widths[0] ?? 0) + 2);
  return [
    paint.dim(row(head.map((title) => [title.toUpperCase()]))),
    ...blocks.flatMap((block) => [
      ...wrapLine("", row(block.cells), columns, indent),
      ...block.notes.flatMap(([text, color]) =>
        wrapLine(indent, color === undefined ? text : color(text), columns),
      ),
    ]),
  ];
}

function siteBlocks(seen: Observation, paint: Paint): readonly Block[] {
  return seen.sites.map((site): Block => {
    const health: Cell = [site.word ?? "no answer", wordColor(site, paint)];
    if (site.role === "unknown")
      return {
        cells: [[site.name, paint.bold], ["unknown", paint.red], health],
        notes: [[unreachableWhy(seen, site), paint.red]],
      };
    return {
      cells: [
        [site.name, paint.bold],
        site.role === "primary" ? [site.role, paint.green] : [site.role],
        health,
        [site.timeline === null ? "?" : String(site.timeline)],
        [site.lsn.current ?? site.lsn.replayed ?? site.lsn.checkpoint ?? "?"],
        [lagText(site)],
        [site.grant === null ? "-" : `${site.grant.state}, epoch ${site.grant.epoch}`],
      ],
      notes: siteNotes(site, paint),
    };
  });
}

function unreachableWhy(seen: Observation, site: SiteView): string {
  const host = seen.hosts.find((one) => one.name === site.host);
  return host?.unreachable ?? site.silent ?? "nobody answers";
}

function wordColor(site: SiteView, paint: Paint): (text: string) => string {
  if (site.word === "primary") return paint.green;
  if (site.word === "standby") return (text) => text;
  return site.word === null ? paint.red : paint.yellow;
}

function lagText(site: SiteView): string {
  if (site.role !== "standby") return "-";
  const { bytes, seconds } = site.lag;
  if (bytes === null && seconds === null) return "unknown";
  return `${bytes === null ? "?" : bytesText(bytes)}, ${seconds === null ? "?" : durationText(seconds)}`;
}

function siteNotes(site: SiteView, paint: Paint): Cell[] {
  const notes: Cell[] = [];
  if (site.why !== null && site.word !== "primary" && site.word !== "standby")
    notes.push([site.why, paint.yellow]);
  if (site.source === "http")
    notes.push([`by HTTP only: ${site.silent ?? "SSH or the control socket does not answer"}`, paint.yellow]);
  if (site.role === "standby") {
    const receiving =
      site.receiver === "streaming"
        ? `streams${site.follows === null ? "" : ` from ${site.follows}`}`
        : "does not stream";
    const positions = `received ${site.lsn.received ?? "?"}, replayed ${site.lsn.replayed ?? "?"}`;
    notes.push([
      `${receiving}; ${positions}${site.replayPaused ? "; replay is paused" : ""}`,
      site.receiver === "streaming" ? paint.dim : paint.yellow,
    ]);
  }
  for (const slot of site.slots ?? [])
    notes.push([slotText(slot), slot.walStatus === "lost" ? paint.red : paint.dim]);
  if (site.slots === null)
    notes.push(["slots and parameters are not known: PostgreSQL did not answer", paint.dim]);
  if (site.pooler !== null) {
    const { admin, login, clients, waiting, longestWait, paused } = site.pooler;
    const state = admin && login ? "up" : admin ? "admin up, login down" : "down";
    const wait = waiting > 0 ? ` (longest ${durationText(longestWait)})` : "";
    const text = `pooler ${state}; ${clients} active, ${waiting} waiting${wait}${paused.length > 0 ? `; paused: ${paused.join(", ")}` : ""}`;
    notes.push([text, admin && login && paused.length === 0 ? paint.dim : paint.yellow]);
  }
  if (site.heldback !== null)
    notes.push([
      `held back at epoch ${site.heldback.epoch}, timeline ${site.heldback.timeline}`,
      paint.yellow,
    ]);
  if ((site.grant?.excluded.length ?? 0) > 0)
    notes.push([`excludes ${site.grant?.excluded.join(", ") ?? ""}`, paint.yellow]);
  for (const { name, running, file } of site.pendingRestart ?? [])
    notes.push([`waits for a restart: ${name} ${running} → ${file}`, paint.yellow]);
  return notes;
}

function slotText({ name, active, walStatus, retainedBytes }: SlotView): string {
  const kept = retainedBytes === null ? "holds no WAL" : `keeps ${bytesText(Math.max(0, retainedBytes))}`;
  return `slot ${name} ${active ? "active" : "idle"}${walStatus === null ? "" : `, ${walStatus}`}, ${kept}`;
}

function routerBlocks(seen: Observation, paint: Paint): readonly Block[] {
  return seen.routers.flatMap((router): readonly Block[] => {
    if (router.silent !== null)
      return [
        {
          cells: [
            [router.name, paint.bold],
            ["no answer", paint.red],
          ],
          notes: [[router.silent, paint.red]],
        },
      ];
    return router.listeners.flatMap((listener, at) =>
      listenerBlocks(listener, at === 0 ? router.name : "", paint),
    );
  });
}

function listenerBlocks(listener: ListenerView, router: string, paint: Paint): readonly Block[] {
  return listener.servers.map((server, at): Block => {
    const last = at === listener.servers.length - 1;
    return {
      cells: [
        [at === 0 ? router : "", paint.bold],
        [at === 0 ? `${listener.name} (${listener.route})` : ""],
        [server.site],
        [server.status, server.status.startsWith("UP") ? paint.green : paint.dim],
        [String(server.sessions)],
      ],
      notes: last ? listener.overrides.map((text): Cell => [`not as rendered: ${text}`, paint.yellow]) : [],
    };
  });
}

function lockLines(seen: Observation, paint: Paint, columns: number | undefined): readonly string[] {
  const lines: string[] = [];
  for (const host of seen.hosts) {
    if (host.lock !== null) {
      const { verb, who, since, alive } = host.lock;
      const text = `lock on ${host.name}: ${verb} by ${who}, since ${since}${alive ? "" : "; its controller is gone"}`;
      lines.push(alive ? paint.yellow(text) : paint.red(text));
    }
    if (host.operationsUnknown !== null)
      lines.push(paint.yellow(`lock and ledger on ${host.name} are not known: ${host.operationsUnknown}`));
  }
  for (const { verb, who, started, to } of seen.unfinished)
    lines.push(
      paint.yellow(`unfinished: ${verb}${to === null ? "" : ` to ${to}`} by ${who}, begun ${started}`),
    );
  return lines.length === 0 ? [] : ["", ...lines.flatMap((line) => wrapLine("", line, columns))];
}

const MARKS: Readonly<Record<Level, string>> = { ok: "✓", notice: "•", warning: "!", alarm: "✗" };

function findingLines(finding: Finding, paint: Paint, columns: number | undefined): readonly string[] {
  const color = { ok: paint.green, notice: paint.cyan, warning: paint.yellow, alarm: paint.red }[
    finding.level
  ];
  return [
    ...wrapLine(`${color(MARKS[finding.level])} `, finding.text, columns, "  "),
    ...wrapLine(`  ${paint.dim("next")}  `, finding.next, columns, "        "),
  ];
}
