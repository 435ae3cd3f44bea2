import { rememberSeen } from "../../runbooks/execute/ledger.ts";
import { judge } from "../../runbooks/judge.ts";
import type { Observation } from "../../runbooks/observe/observation.ts";
import { observe, QUICK_MS } from "../../runbooks/observe/observe.ts";
import { paintFor } from "../engine/paint.ts";
import { closeStack, openStack, STATE } from "./context.ts";
import { topologyLines } from "./topology-text.ts";

export interface TopologyOptions {
  readonly json?: true | undefined;
  /** Seconds between two looks; true: the default. */
  readonly watch?: number | true | undefined;
}

const WATCH_SECONDS = 2;

/** Looks and prints; with `watch` until Ctrl-C. */
export async function topologyVerb(name: string, options: TopologyOptions): Promise<number> {
  const stack = openStack(name, "look");
  const print = async (): Promise<string> => {
    const { ledger: _, ...seen } = await observe(stack, { askMs: QUICK_MS });
    const findings = judge(seen);
    const [verdict] = findings;
    await remember(name, seen);
    if (options.json === true) return JSON.stringify({ ...seen, verdict, findings });
    const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
    return topologyLines(seen, findings, { paint: paintFor(process.stdout, process.env), columns }).join(
      "\n",
    );
  };
  try {
    if (options.watch === undefined) process.stdout.write(`${await print()}\n`);
    else await watch(print, options.watch === true ? WATCH_SECONDS : options.watch);
    return 0;
  } finally {
    await closeStack(stack);
  }
}

/** For the day on which a site is gone and its lag is asked for. A folder that cannot be written is no reason to fail. */
async function remember(stack: string, { at, primaries, sites }: Observation): Promise<void> {
  const [primary] = primaries;
  if (primary === undefined || primaries.length > 1) return;
  const lags = sites
    .filter((site) => site.role === "standby" && site.lag.bytes !== null)
    .map((site) => [site.name, site.lag] as const);
  if (lags.length === 0) return;
  await rememberSeen(stack, STATE, { at, primary, lags: Object.fromEntries(lags) }).catch(() => undefined);
}

/** Draws over the last picture, line by line, so that nothing flickers; the terminal is left as it was. */
async function watch(print: () => Promise<string>, seconds: number): Promise<void> {
  const out = process.stdout;
  const ended = new Promise<"ended">((resolve) => {
    process.once("SIGINT", () => resolve("ended"));
    process.once("SIGTERM", () => resolve("ended"));
  });
  if (out.isTTY) out.write("\x1b[?1049h\x1b[?25l");
  try {
    for (;;) {
      const picture = await Promise.race([print(), ended]);
      if (picture === "ended") return;
      if (out.isTTY) {
        const lines = picture.split("\n").slice(0, out.rows);
        out.write(`\x1b[?2026h\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\n")}\x1b[J\x1b[?2026l`);
      } else {
        out.write(`${picture}\n`);
      }
      let timer: NodeJS.Timeout | undefined;
      const turn = new Promise<void>((resolve) => (timer = setTimeout(resolve, seconds * 1000)));
      const next = await Promise.race([turn, ended]);
      clearTimeout(timer);
      if (next === "ended") return;
    }
  } finally {
    if (out.isTTY) out.write("\x1b[?25h\x1b[?1049l");
  }
}
