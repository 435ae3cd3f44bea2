/**
 * `npm run bench`: flips under load in both directions, interleaved with the floor, in a sealed world of its own.
 *
 *   --flips N           flips, and as many of the floor (default 20)
 *   --stack NAME        production or staging (default production)
 *   --pooling MODE      session or transaction (default: what the stack file says)
 *   --page FILE         a page with a plot of writes per second around a flip (default .heatwave/bench/flips.html)
 *   --keep              leave the world as it is
 *   --json              the last line is one object
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { acknowledgedOf, gapsOf, longest } from "../infra/rehearsal/writer/figures.ts";
import { GAP_STEPS } from "../infra/runbooks/plan/flip.ts";
import { spread, writesAround } from "./figures.ts";
import { interleave } from "./interleaved.ts";
import { renderPage } from "./page.ts";
import { benchWorld, ROOT, setPooling, wholeAgain, worldUp } from "./world.ts";

const { values } = parseArgs({
  options: {
    flips: { type: "string", default: "20" },
    stack: { type: "string", default: "production" },
    pooling: { type: "string" },
    page: { type: "string", default: join(ROOT, ".heatwave/bench/flips.html") },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const flips = Number(values.flips);
if (!Number.isInteger(flips) || flips < 1)
  throw new Error(`--flips: ${values.flips}; allowed: a whole number from 1 on`);
if (values.pooling !== undefined && !["session", "transaction"].includes(values.pooling))
  throw new Error(`--pooling: ${values.pooling}; allowed: session, transaction`);

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const sum = <T>(list: readonly T[], of: (one: T) => number): number =>
  list.reduce((total, one) => total + of(one), 0);
const name = `bench-${values.stack}`;
const options = ["--stack", values.stack, "--world", name, "--yes"];
await worldUp(options, say);
const world = await benchWorld(name, values.stack, options);
const routerName = (n: number): string => world.topology.routers[n]?.host.name ?? "";
try {
  const pooling = values.pooling ?? world.stack.pgbouncer.poolMode;
  await setPooling(world, pooling);
  const done = await interleave(world, flips, async ({ n, flip, floorMs }, series) => {
    say(
      `${String(n).padStart(3)}  ${flip.from} → ${flip.to}  gap ${Math.round(flip.gapMs)} ms  floor ${Math.round(floorMs)} ms  ${flip.said}`,
    );
    await wholeAgain(series);
  });
  const { kept, fresh } = done.report;
  const all = [kept, ...fresh];
  const figures = done.pairs.map(({ flip }) => flip);
  const rows = acknowledgedOf(done.kept);
  const gap = spread(figures.map(({ gapMs }) => gapMs));
  const bare = spread(done.pairs.map(({ floorMs }) => floorMs));
  const rejoin = spread(figures.map(({ rejoinMs }) => rejoinMs));
  const phasesMs = Object.fromEntries(
    Object.keys(figures[0]?.phases ?? {}).map((phase) => [
      phase,
      spread(figures.map(({ phases }) => phases[phase] ?? 0)).median,
    ]),
  );
  const around = longest(gapsOf(rows.filter(({ answered }) => answered >= done.last)))?.from ?? done.last;
  const result = {
    flips,
    lost: sum(all, ({ lost }) => lost),
    refused: sum(fresh, ({ errors }) => (errors.refused ?? 0) + (errors["reset before authentication"] ?? 0)),
    errors: {
      kept: kept.errors,
      new: Object.fromEntries(fresh.map(({ errors }, n) => [routerName(n), errors])),
    },
    inDoubt: sum(all, ({ unanswered }) => unanswered),
    pooling,
    gapMs: gap,
    floorMs: bare,
    rejoinMs: rejoin,
    phasesMs,
  };
  mkdirSync(dirname(values.page), { recursive: true });
  writeFileSync(
    values.page,
    renderPage({
      title: `heatwave: the write gap of a flip (${values.stack})`,
      flips,
      pooling,
      gap,
      floor: bare,
      rejoin,
      phases: GAP_STEPS.filter((step) => phasesMs[step] !== undefined).map((step) => ({
        name: step,
        ms: phasesMs[step] ?? 0,
      })),
      writes: writesAround(
        rows.map(({ answered }) => answered),
        around,
        3000,
        50,
      ),
    }),
  );
  say("");
  say(
    `write gap   median ${gap.median} ms, p95 ${gap.p95} ms, longest ${gap.max} ms (${(gap.median / bare.median).toFixed(2)} × the floor)`,
  );
  say(`floor       median ${bare.median} ms, p95 ${bare.p95} ms, longest ${bare.max} ms`);
  say(`rejoined    median ${rejoin.median} ms, longest ${rejoin.max} ms`);
  say(
    `rows        ${sum(all, ({ acknowledged }) => acknowledged)} acknowledged, ${result.lost} lost, ${result.inDoubt} in doubt`,
  );
  say(`page        ${values.page}`);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  if (result.lost > 0) process.exitCode = 1;
} finally {
  if (!values.keep) await world.rehearse(["down"]);
}
