import { activeFaults, describeFault, healAll } from "../../rehearsal/faults/active.ts";
import { setLiveRestore } from "../../rehearsal/faults/live-restore.ts";
import { fill } from "../../rehearsal/faults/disk.ts";
import { cut, delay, healLinks, lose, slow } from "../../rehearsal/faults/network.ts";
import { freeze, lateAddress, powerOff, powerOn, reboot, thaw } from "../../rehearsal/faults/power.ts";
import { killProcess, setContainerFrozen } from "../../rehearsal/faults/processes.ts";
import type { WorldPlan } from "../../rehearsal/plan.ts";
import { Context } from "./context.ts";
import type { Globals } from "./context.ts";
import type { FaultVerbs } from "./fault-program.ts";

/** The `fault` verbs as `bin/rehearse` runs them: done, then told, then what is in force. */
export const faultVerbs: FaultVerbs = {
  list: (globals) => tell(globals, () => Promise.resolve({})),

  cut: (globals, one, other, oneWay) =>
    tell(globals, async (plan) => ({ cut: await cut(plan, one, { other, oneWay }) })),

  lossy: (globals, one, loss, other, oneWay) =>
    tell(globals, async (plan) => ({ lossy: await lose(plan, one, loss, { other, oneWay }) })),

  delay: (globals, one, milliseconds, other, oneWay) =>
    tell(globals, async (plan) => ({ delay: await delay(plan, one, milliseconds, { other, oneWay }) })),

  fill: (globals, host, leave) =>
    tell(globals, async (plan) => {
      await fill(plan, host, leave);
      return { filled: host };
    }),

  slow: (globals, host, rate) =>
    tell(globals, async (plan) => {
      await slow(plan, host, rate);
      return { slow: host, rate };
    }),

  heal: (globals, one, other) =>
    tell(globals, async (plan) => ({
      healed: one === undefined ? await healAll(plan) : await healLinks(plan, one, other),
    })),

  freeze: (globals, host, container) =>
    tell(globals, async (plan) => ({
      changed: await (container === undefined
        ? freeze(plan, host)
        : setContainerFrozen(plan, host, container, true)),
    })),

  thaw: (globals, host, container) =>
    tell(globals, async (plan) => ({
      changed: await (container === undefined
        ? thaw(plan, host)
        : setContainerFrozen(plan, host, container, false)),
    })),

  kill: (globals, host, role) =>
    tell(globals, async (plan, at) => {
      const killed = await killProcess(plan, at.loadStack(), host, role);
      if (globals.json !== true)
        process.stdout.write(`Killed ${killed.role} on ${host}, process ${killed.pid}.\n`);
      return { killed };
    }),

  reboot: (globals, host, hard) =>
    tell(globals, async (plan) => {
      await reboot(plan, host, !hard);
      return { rebooted: host };
    }),

  off: (globals, host, clean) =>
    tell(globals, async (plan) => ({ changed: await powerOff(plan, host, clean) })),

  on: (globals, host) => tell(globals, async (plan) => ({ changed: await powerOn(plan, host) })),

  lateAddress: (globals, host, seconds) =>
    tell(globals, async (plan) => ({ changed: await lateAddress(plan, host, seconds) })),

  liveRestore: (globals, host, on) =>
    tell(globals, async (plan) => ({ changed: await setLiveRestore(plan, host, on) })),
};

/** Does it and shows what is in force after: for programs as one object, with what was done. */
async function tell(
  globals: Globals,
  act: (plan: WorldPlan, at: Context) => Promise<Readonly<Record<string, unknown>>>,
): Promise<void> {
  const at = new Context(globals);
  const plan = await at.existing();
  const done = await act(plan, at);
  const active = await activeFaults(plan);
  if (globals.json === true) {
    process.stdout.write(`${JSON.stringify({ world: at.world, ...done, active }, null, 2)}\n`);
    return;
  }
  for (const fault of active) process.stdout.write(`fault  ${describeFault(fault)}\n`);
  if (active.length === 0) process.stdout.write("no fault is in force\n");
  else process.stdout.write(at.hint("undo: bin/rehearse fault heal\n"));
}
