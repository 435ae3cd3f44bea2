import { exitCodes } from "./recovery/exit-codes.ts";
import { recoveryProgram } from "./recovery/program.ts";
import { rebuildVerb, rejoinVerb } from "./recovery/renew.ts";
import { reported } from "./recovery/report.ts";
import { topologyVerb } from "./recovery/topology.ts";
import { ensurePrimaryVerb } from "./recovery/ensure-primary.ts";
import { failoverVerb, fenceVerb, unfenceVerb } from "./recovery/failover.ts";
import { flipVerb } from "./recovery/flip.ts";
import { ensurePlacesVerb } from "./recovery/ensure-places.ts";
import { ensureRetiredVerb, retireVerb } from "./recovery/retire.ts";
import { historyVerb, promoteVerb, restartVerb, resumeVerb, startVerb, stopVerb } from "./recovery/verbs.ts";
import { runProgram } from "./run-program.ts";

/** `bin/recovery ENV VERB`: the stack comes first, so that a line reads as what it acts on. */
const [first, ...rest] = process.argv.slice(2);
const named = first !== undefined && !first.startsWith("-");

let exitCode: number = exitCodes.done;
const run = async (task: () => Promise<number>): Promise<void> => {
  exitCode = await reported(task);
};
const program = recoveryProgram(named ? first : "ENV", {
  topology: (stack, options) => run(() => topologyVerb(stack, options)),
  drift: (stack, options) =>
    run(async () => {
      // Only it needs the engine: who looks at a broken stack should not wait for that.
      const { driftVerb } = await import("./recovery/drift.ts");
      return driftVerb(stack, options);
    }),
  flip: (stack, options) => run(() => flipVerb(stack, options)),
  ensurePrimary: (stack, site) => run(() => ensurePrimaryVerb(stack, site)),
  failover: (stack, options) => run(() => failoverVerb(stack, options)),
  fence: (stack, site, options) => run(() => fenceVerb(stack, site, options)),
  unfence: (stack, site, options) => run(() => unfenceVerb(stack, site, options)),
  promote: (stack, site, options) => run(() => promoteVerb(stack, site, options)),
  start: (stack, site, options) => run(() => startVerb(stack, site, options)),
  stop: (stack, site, options) => run(() => stopVerb(stack, site, options)),
  restart: (stack, site, options) => run(() => restartVerb(stack, site, options)),
  rejoin: (stack, site, options) => run(() => rejoinVerb(stack, site, options)),
  rebuild: (stack, site, options) => run(() => rebuildVerb(stack, site, options)),
  retire: (stack, site, options) => run(() => retireVerb(stack, site, options)),
  ensureRetired: (stack, site) => run(() => ensureRetiredVerb(stack, site)),
  ensurePlaces: (stack, words) => run(() => ensurePlacesVerb(stack, words)),
  resume: (stack) => run(() => resumeVerb(stack)),
  history: (stack, options) => run(() => historyVerb(stack, options)),
});

await runProgram(program, named ? rest : ["--help"], first !== undefined, () => exitCode);
