import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import type { DriftOptions } from "./drift.ts";
import type { TopologyOptions } from "./topology.ts";

/** What each verb does, apart from how it is written. */
export interface Verbs {
  topology(stack: string, options: TopologyOptions): Promise<void>;
  drift(stack: string, options: DriftOptions): Promise<void>;
  flip(stack: string, options: FlipOptions): Promise<void>;
  ensurePrimary(stack: string, site: string): Promise<void>;
  failover(stack: string, options: FailoverOptions): Promise<void>;
  fence(stack: string, site: string, options: YesOption): Promise<void>;
  unfence(stack: string, site: string, options: YesOption): Promise<void>;
  promote(stack: string, site: string, options: PromoteOptions): Promise<void>;
  start(stack: string, site: string, options: StartOptions): Promise<void>;
  stop(stack: string, site: string, options: YesOption): Promise<void>;
  restart(stack: string, site: string, options: YesOption): Promise<void>;
  rejoin(stack: string, site: string, options: YesOption): Promise<void>;
  rebuild(stack: string, site: string | undefined, options: RebuildOptions): Promise<void>;
  retire(stack: string, site: string, options: RetireOptions): Promise<void>;
  ensurePlaces(stack: string, words: readonly string[]): Promise<void>;
  ensureRetired(stack: string, site: string): Promise<void>;
  resume(stack: string): Promise<void>;
  history(stack: string, options: { readonly json?: true | undefined }): Promise<void>;
}

export interface YesOption {
  readonly yes?: true | undefined;
}
export interface FlipOptions extends YesOption {
  readonly to?: string | undefined;
  readonly dryRun?: true | undefined;
  readonly json?: true | undefined;
  /** The stack file says it already. */
  readonly keepDeclared?: true | undefined;
}
export interface FailoverOptions extends YesOption {
  readonly to: string;
  readonly acceptLoss?: true | undefined;
}
export interface PromoteOptions extends YesOption {
  readonly stopPrimary?: true | undefined;
}
export interface RebuildOptions extends YesOption {
  readonly dryRun?: true | undefined;
}
export interface RetireOptions extends YesOption {
  readonly dryRun?: true | undefined;
}
export interface StartOptions extends YesOption {
  readonly peerGone?: true | undefined;
  readonly acceptLoss?: true | undefined;
}

const YES = ["-y, --yes", "answer yes to the question (also RECOVERY_YES=1)"] as const;

const EXIT_CODES = `
Exit codes: 0 done, 2 wrong usage, 3 refused (nothing was begun), 4 aborted (all is as it was),
5 needs attention (topology names the next command), 6 drift: not as declared, 1 a mistake of ours

In a rehearsal: bin/rehearse exec bin/recovery production topology`;

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0.5 && value <= 3600)) throw new InvalidArgumentError("Expected seconds, 0.5 to 3600.");
  return value;
}

/** The command line of one stack. */
export function recoveryProgram(stack: string, verbs: Verbs): Command {
  const program = new Command(`bin/recovery ${stack}`)
    .description(
      "Look at a stack and act on it over SSH: who takes writes, what is wrong, what to do next.\n" +
        "ENV is the stack's name (Pulumi.<ENV>.yaml). Keys come from the SSH agent alone; no secret is read.",
    )
    .showHelpAfterError("(bin/recovery ENV --help shows all verbs)")
    .addHelpText("after", EXIT_CODES)
    .exitOverride();

  program
    .command("topology")
    .description("sites, routers, locks, a verdict, and the next safe command; changes nothing")
    .option("--json", "one object, as docs/recovery.md describes it")
    .option("--watch [seconds]", "look again and again (default: every 2 s) until Ctrl-C", seconds)
    .action(({ json, watch }) => verbs.topology(stack, { json, watch }));
  program
    .command("drift")
    .description(
      "what is there and is not as declared: roles, files, images, container settings; changes nothing",
    )
    .option("--json", "one object")
    .action(({ json }) => verbs.drift(stack, { json }));
  program
    .command("flip-db")
    .alias("switchover")
    .description(
      "move the writes to another site while the application runs: nothing is lost, new connections wait",
    )
    .option("--to <site>", "the standby (default: the only one)")
    .option("--dry-run", "plan, checks and expected gap; changes nothing")
    .option("--json", "the run's entry in the ledger on standard output, with proof and times")
    .option("--keep-declared", "leave heatwave:primary in the stack file as it is")
    .option(...YES)
    .action((options) => verbs.flip(stack, options));
  program
    .command("ensure-primary", { hidden: true })
    .description("what `pulumi up` runs for heatwave:primary: flips only where the declared site has changed")
    .argument("<site>")
    .action((site) => verbs.ensurePrimary(stack, site));
  program
    .command("failover")
    .description(
      "the primary is dead: fence what answers of it, promote a standby; says what may be lost, and asks",
    )
    .requiredOption("--to <site>", "the standby")
    .option("--accept-loss", "accept what it says may be lost")
    .option(...YES)
    .action((options) => verbs.failover(stack, options));
  program
    .command("fence")
    .description("take a site's right to write and stop its PostgreSQL; nobody else gets it")
    .argument("<site>")
    .option(...YES)
    .action((site, options) => verbs.fence(stack, site, options));
  program
    .command("unfence")
    .description("give a fenced site its right back, and start it")
    .argument("<site>")
    .option(...YES)
    .action((site, options) => verbs.unfence(stack, site, options));
  program
    .command("promote")
    .description("promote a standby that provably has everything; the old primary becomes a standby")
    .argument("<site>", "the standby")
    .option("--stop-primary", "stop the running primary first; without it a running primary is a refusal")
    .option(...YES)
    .action((site, options) => verbs.promote(stack, site, options));
  program
    .command("start")
    .description("start PostgreSQL at a site, through the start rules")
    .argument("<site>")
    .option("--peer-gone", "free a primary that is held back, and exclude every silent site for good")
    .option("--accept-loss", "with --peer-gone: accept what it says may be lost")
    .option(...YES)
    .action((site, options) => verbs.start(stack, site, options));
  program
    .command("stop")
    .description("stop PostgreSQL at a site until it is started by command; its container goes on")
    .argument("<site>")
    .option(...YES)
    .action((site, options) => verbs.stop(stack, site, options));
  program
    .command("restart")
    .description(
      "restart PostgreSQL at a site, through the start rules: what waits for a restart takes effect",
    )
    .argument("<site>")
    .option(...YES)
    .action((site, options) => verbs.restart(stack, site, options));
  program
    .command("rejoin")
    .description(
      "bring a site back that was excluded or has diverged: it follows, rewound or copied if it must be",
    )
    .argument("<site>")
    .option(...YES)
    .action((site, options) => verbs.rejoin(stack, site, options));
  program
    .command("rebuild-standby")
    .description("give a standby new data by a base backup; the old data stays until the new one streams")
    .argument("[site]", "(default: the only standby)")
    .option("--dry-run", "checks and plan; changes nothing")
    .option(...YES)
    .action((site, options) => verbs.rebuild(stack, site, options));
  program
    .command("retire")
    .description(
      "with --dry-run: may the site leave the stack? `pulumi up` does it, where its entry says retired: true",
    )
    .argument("<site>")
    .option("--dry-run", "checks and plan; changes nothing")
    .option(...YES)
    .action((site, options) => verbs.retire(stack, site, options));
  program
    .command("ensure-retired", { hidden: true })
    .description("what `pulumi up` runs for a site whose entry says retired: true")
    .argument("<site>")
    .action((site) => verbs.ensureRetired(stack, site));
  program
    .command("ensure-places", { hidden: true })
    .description("what `pulumi up` runs first where hosts or sites have changed: refuses what would hurt")
    .argument("<places...>")
    .action((words) => verbs.ensurePlaces(stack, words));
  program
    .command("resume")
    .description("finish or take back what a dead controller left")
    .action(() => verbs.resume(stack));
  program
    .command("history")
    .description("runs, by the hosts' ledgers and this machine's copy")
    .option("--json", "one list, newest first")
    .action(({ json }) => verbs.history(stack, { json }));
  return program;
}
