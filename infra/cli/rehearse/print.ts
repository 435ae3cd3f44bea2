import pc from "picocolors";
import type { MachineStatus } from "./status.ts";

/** Machines and what runs on them, for a reader. */
export function printStatus(world: string, machines: readonly MachineStatus[]): void {
  const out = process.stdout;
  out.write(`World "${world}"\n`);
  for (const machine of machines) {
    const state = machine.state === "running" ? pc.green(machine.state) : pc.red(machine.state);
    out.write(
      `  ${machine.name.padEnd(14)}${machine.tailnet.padEnd(18)}${state}  ${pc.dim(machine.container)}\n`,
    );
    if (machine.containers === undefined) {
      if (machine.state === "running" && machine.name !== "controller") {
        out.write(`    ${pc.yellow("its Docker daemon does not answer")}\n`);
      }
      continue;
    }
    for (const { name, status } of machine.containers) out.write(`    ${name.padEnd(30)}${status}\n`);
    if (machine.containers.length === 0) out.write(`    ${pc.dim("no containers")}\n`);
  }
}
