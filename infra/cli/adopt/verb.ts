import { adoptedIds, compare } from "../../adoption/compare.ts";
import { lookAtHosts } from "../../adoption/look.ts";
import { planConversion } from "../../adoption/conversion.ts";
import { writeAdopted, writeConverted } from "../../adoption/stack-file.ts";
import { loadStackFile } from "../../config/load.ts";
import { readOverlay } from "../../config/overlay.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { paintFor } from "../engine/paint.ts";
import { closeStack, openStack, PROJECT } from "../recovery/context.ts";
import { exitCodes } from "../recovery/exit-codes.ts";
import { endLine, reportLines } from "./text.ts";

export interface AdoptOptions {
  readonly json?: true | undefined;
  readonly write?: true | undefined;
  /** Site that is converted by the next `up`. */
  readonly convert?: string | undefined;
}

/** Changes the stack file so that the next `up` makes a site anew on the data that was found. Asks no host: `up` does. */
export function convertVerb(name: string, site: string): number {
  const config = loadStackFile(PROJECT, name, readOverlay());
  const conversion = planConversion(name, config, site);
  const file = writeConverted(PROJECT, name, conversion);
  const alone = config.sites.length === 1;
  const rest = alone
    ? "PostgreSQL is stopped for it, and the routers are made anew: writes pause once"
    : conversion.routers.length > 0
      ? "the primary is not touched, and the routers are made anew: new connections wait for that, and sessions end"
      : "nobody's writes are touched";
  const then =
    conversion.routers.length > 0 && !alone ? `, then bin/recovery ${name} flip-db --to ${site}` : "";
  process.stdout.write(
    `${file ?? `Pulumi.${name}.yaml`}: ${site} is converted by the next up; its data stays in its volume, ${rest}.\n` +
      `Review it, then pulumi preview and pulumi up${then}\n`,
  );
  return exitCodes.done;
}

/** Looks at what runs under the declared names; with `--write` its ids go into the stack file. No host is changed. */
export async function adoptVerb(
  name: string,
  { json, write }: Omit<AdoptOptions, "convert">,
): Promise<number> {
  const stack = openStack(name, "runbook");
  try {
    const { topology, config } = stack;
    const adoption = compare(topology, config, await lookAtHosts(topology, stack.hosts));
    const ids = adoptedIds(adoption);
    const say = (line: string): void =>
      void (json === true ? process.stderr : process.stdout).write(`${line}\n`);
    reportLines(adoption, paintFor(json === true ? process.stderr : process.stdout, process.env)).forEach(
      say,
    );
    if (json === true)
      process.stdout.write(`${JSON.stringify({ stack: name, ...adoption, ids }, null, 2)}\n`);
    if (adoption.objections.length > 0)
      throw new RunbookError(
        "refused",
        `${adoption.objections.length} things stand in the way of adopting ${name} as it is`,
        `mend them in Pulumi.${name}.yaml, then bin/adopt ${name}`,
      );
    say("");
    say(endLine(adoption));
    if (write !== true) {
      say(
        `Nothing was changed. Next: bin/adopt ${name} --write, which puts their ids into Pulumi.${name}.yaml`,
      );
      return exitCodes.done;
    }
    const file = writeAdopted(PROJECT, name, ids);
    say(
      file === undefined
        ? `Pulumi.${name}.yaml says so already.`
        : `${file} names them now: commit it, then pulumi preview shows nothing but imports, and pulumi up takes them over`,
    );
    return exitCodes.done;
  } finally {
    await closeStack(stack);
  }
}
