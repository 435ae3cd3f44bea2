import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import type { Command } from "@commander-js/extra-typings";
import { ROLES } from "../../rehearsal/faults/processes.ts";
import type { Globals } from "./context.ts";

/** What each `fault` verb does, apart from how it is written. */
export interface FaultVerbs {
  list(globals: Globals): Promise<void>;
  cut(globals: Globals, one: string, other: string | undefined, oneWay: boolean): Promise<void>;
  lossy(
    globals: Globals,
    one: string,
    loss: number,
    other: string | undefined,
    oneWay: boolean,
  ): Promise<void>;
  delay(
    globals: Globals,
    one: string,
    milliseconds: number,
    other: string | undefined,
    oneWay: boolean,
  ): Promise<void>;
  slow(globals: Globals, host: string, rate: string): Promise<void>;
  fill(globals: Globals, host: string, leave: number): Promise<void>;
  heal(globals: Globals, one: string | undefined, other: string | undefined): Promise<void>;
  freeze(globals: Globals, host: string, container: string | undefined): Promise<void>;
  thaw(globals: Globals, host: string, container: string | undefined): Promise<void>;
  kill(globals: Globals, host: string, role: string): Promise<void>;
  reboot(globals: Globals, host: string, hard: boolean): Promise<void>;
  off(globals: Globals, host: string, clean: boolean): Promise<void>;
  on(globals: Globals, host: string): Promise<void>;
  lateAddress(globals: Globals, host: string, seconds: number): Promise<void>;
  liveRestore(globals: Globals, host: string, on: boolean): Promise<void>;
}

export interface WithGlobals {
  optsWithGlobals(): object;
}

const EXAMPLES = `
Examples:
  bin/rehearse fault cut chi-02                    one host off from all others and from the operator
  bin/rehearse fault cut dal-01 chi-02 --one-way   what dal-01 sends does not reach chi-02
  bin/rehearse fault lossy dal-01 0.2 chi-02       a fifth of the packets between the two is lost
  bin/rehearse fault delay dal-01 40 chi-02        a round trip between the two takes 80 ms more
  bin/rehearse fault fill dal-01                   no room on its disk, in a world made with up --disk 2g
  bin/rehearse fault freeze dal-01 heatwave-postgres
  bin/rehearse fault kill dal-01 entrypoint        kill -9; roles: ${ROLES.join(", ")}
  bin/rehearse fault reboot dal-01 --hard          a reset button
  bin/rehearse fault                               what is in force
  bin/rehearse fault heal                          undoes all of it

A fault looks first, and doing it twice is doing it once. Cuts, losses, delays, full disks, late addresses and
live-restore hold over reboots.`;

/** Adds `fault` with its verbs. */
export function addFaultVerbs(
  program: Command,
  verbs: FaultVerbs,
  globalsOf: (command: WithGlobals) => Globals,
): CommandUnknownOpts {
  const fault = program
    .command("fault")
    .description("break something in the world, or undo it; without a verb: what is broken")
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(bin/rehearse fault --help shows all verbs)")
    .action((_options, command) => verbs.list(globalsOf(command)));
  const host = "name of a host in the stack file";
  const other = "the other end, a host or controller (default: all others)";

  fault
    .command("cut")
    .description("drop all packets between two machines, or between one and all others")
    .argument("<host>", host)
    .argument("[other]", other)
    .option("--one-way", "only what the first one sends")
    .action((one, second, { oneWay }, command) =>
      verbs.cut(globalsOf(command), one, second, oneWay === true),
    );
  fault
    .command("lossy")
    .description("lose a part of the packets, by chance")
    .argument("<host>", host)
    .argument("<part>", "part that is lost, e.g. 0.2", fraction)
    .argument("[other]", other)
    .option("--one-way", "only what the first one sends")
    .action((one, loss, second, { oneWay }, command) =>
      verbs.lossy(globalsOf(command), one, loss, second, oneWay === true),
    );
  fault
    .command("delay")
    .description("let packets arrive later, in the order in which they were sent")
    .argument("<host>", host)
    .argument("<milliseconds>", "how much later, each way", whole)
    .argument("[other]", other)
    .option("--one-way", "only what the first one sends")
    .action((one, milliseconds, second, { oneWay }, command) =>
      verbs.delay(globalsOf(command), one, milliseconds, second, oneWay === true),
    );
  fault
    .command("slow")
    .description("limit what a host sends, behind a queue of two seconds, until its next boot")
    .argument("<host>", host)
    .argument("<rate>", "bits a second: 64kbit, 1mbit")
    .action((name, rate, _options, command) => verbs.slow(globalsOf(command), name, rate));
  fault
    .command("fill")
    .description("take all room on a host's disk, for root too; the world must have been made with up --disk")
    .argument("<host>", host)
    .option("--leave <KB>", "what stays free", whole, 0)
    .action((name, { leave }, command) => verbs.fill(globalsOf(command), name, leave));
  fault
    .command("heal")
    .description("undo every fault; with a host, heal its links only")
    .argument("[host]", host)
    .argument("[other]", other)
    .action((one, second, _options, command) => verbs.heal(globalsOf(command), one, second));
  fault
    .command("freeze")
    .description("stop every process of a host, or of one container on it, in the middle of what it does")
    .argument("<host>", host)
    .argument("[container]", "name of a container on it (default: the whole host)")
    .action((name, container, _options, command) => verbs.freeze(globalsOf(command), name, container));
  fault
    .command("thaw")
    .description("let a frozen host or container go on")
    .argument("<host>", host)
    .argument("[container]", "name of a container on it (default: the whole host)")
    .action((name, container, _options, command) => verbs.thaw(globalsOf(command), name, container));
  fault
    .command("kill")
    .description(`kill -9 a process on a host: ${ROLES.join(", ")}`)
    .argument("<host>", host)
    .argument("<role>", "what it is")
    .action((name, role, _options, command) => verbs.kill(globalsOf(command), name, role));
  fault
    .command("reboot")
    .description("restart a host, in order or as by a reset button; waits for nothing")
    .argument("<host>", host)
    .option("--hard", "without a shutdown")
    .action((name, { hard }, command) => verbs.reboot(globalsOf(command), name, hard === true));
  fault
    .command("off")
    .description("pull a host's plug, or shut it down")
    .argument("<host>", host)
    .option("--clean", "shut it down in order")
    .action((name, { clean }, command) => verbs.off(globalsOf(command), name, clean === true));
  fault
    .command("on")
    .description("switch a host on; waits for nothing")
    .argument("<host>", host)
    .action((name, _options, command) => verbs.on(globalsOf(command), name));
  fault
    .command("late-address")
    .description("let a host's tailnet address come late, from its next boot on")
    .argument("<host>", host)
    .argument("<seconds>", "0 ends it", whole)
    .action((name, seconds, _options, command) => verbs.lateAddress(globalsOf(command), name, seconds));
  fault
    .command("live-restore")
    .description("whether containers live on while a host's Docker daemon is dead")
    .argument("<host>", host)
    .argument("<on|off>", "the daemon's setting", onOrOff)
    .action((name, on, _options, command) => verbs.liveRestore(globalsOf(command), name, on));
  return fault;
}

function fraction(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 1) return value;
  throw new InvalidArgumentError("Allowed: above 0 and up to 1, e.g. 0.2.");
}

function whole(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Allowed: a whole number, e.g. 30.");
}

function onOrOff(text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new InvalidArgumentError("Allowed: on, off.");
}
