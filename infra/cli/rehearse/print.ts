import pc from "picocolors";
import { describeFault } from "../../rehearsal/faults/active.ts";
import type { SiteAnswer } from "../../rehearsal/health.ts";
import { primariesOf } from "../../rehearsal/health.ts";
import type { WorldStatus } from "./status.ts";

/** Machines, what runs on them and what their sites answer, for a reader. */
export function printStatus(world: string, { machines, sites, faults }: WorldStatus): void {
  const out = process.stdout;
  out.write(`World "${world}"\n`);
  for (const machine of machines) {
    const state = machine.state === "running" ? pc.green(machine.state) : pc.red(machine.state);
    out.write(
      `  ${machine.name.padEnd(14)}${machine.tailnet.padEnd(18)}${state}  ${pc.dim(machine.container)}\n`,
    );
    for (const site of sites.filter((candidate) => candidate.host === machine.name)) {
      const words = describeAnswer(site);
      out.write(
        `    ${`site ${site.site}`.padEnd(30)}${site.status === 200 ? pc.green(words) : pc.yellow(words)}\n`,
      );
    }
    if (machine.containers === undefined) {
      if (machine.state === "running" && machine.name !== "controller") {
        out.write(`    ${pc.yellow("its Docker daemon does not answer")}\n`);
      }
      continue;
    }
    for (const { name, status } of machine.containers) out.write(`    ${name.padEnd(30)}${status}\n`);
    if (machine.containers.length === 0) out.write(`    ${pc.dim("no containers")}\n`);
  }
  for (const fault of faults) out.write(`${pc.red("fault")}  ${describeFault(fault)}\n`);
  out.write(`${describePrimary(sites)}\n`);
}

/** What a site's pg-health answers: `primary 200`, `standby 503`, `no answer`. */
export function describeAnswer(site: SiteAnswer): string {
  return site.status === null ? "no answer" : `${site.word} ${site.status}`;
}

/** Which site takes writes, as a sentence. */
export function describePrimary(sites: readonly SiteAnswer[]): string {
  const primaries = primariesOf(sites);
  if (primaries.length === 0) return "no site is primary";
  return primaries.length === 1
    ? `primary: ${primaries[0] ?? ""}`
    : `${primaries.length} sites say that they are primary: ${primaries.join(", ")}`;
}
