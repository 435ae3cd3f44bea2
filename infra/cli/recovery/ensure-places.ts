import { StackHost } from "../../hosts/stack-host.ts";
import { observe } from "../../runbooks/observe/observe.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { fileChecks, lookChecks, needsLook, placeChanges } from "../../runbooks/plan/places.ts";
import type { PlaceChanges } from "../../runbooks/plan/places.ts";
import type { Check } from "../../runbooks/plan/step.ts";
import { objections } from "../../runbooks/plan/step.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import type { Places } from "../../topology/places.ts";
import { parsePlaces, placeWords } from "../../topology/places.ts";
import { paintFor } from "../engine/paint.ts";
import { exitCodes } from "./exit-codes.ts";
import { lastOutput } from "./last-output.ts";
import { checkLines } from "./runbook-text.ts";
import { withStackBefore } from "./retire.ts";

const paint = paintFor(process.stderr, process.env);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Seconds that a machine at an address which should be nobody's has to show itself. */
const OLD_ADDRESS_SECONDS = 3;

/**
 * Run by the stack's `places` command, before anything of an `up` is done. Standard output is what the next run compares
 * with; all else goes to stderr.
 */
export async function ensurePlacesVerb(name: string, words: readonly string[]): Promise<number> {
  const wanted = placesIn(words);
  const last = lastOutput();
  const changes = placeChanges(last === undefined ? undefined : placesIn(last.split(/\s+/)), wanted);
  demand(name, fileChecks(changes));
  if (needsLook(changes))
    await withStackBefore(name, async (stack) => {
      const [seen, answersAt] = await Promise.all([observe(stack), stillAnswering(stack, changes)]);
      demand(name, lookChecks(changes, seen, wanted, answersAt));
    });
  process.stdout.write(`${placeWords(wanted).join("\n")}\n`);
  return exitCodes.done;
}

function placesIn(words: readonly string[]): Places {
  try {
    return parsePlaces(words);
  } catch (error) {
    throw new RunbookError("usage", (error as Error).message, "this verb is run by `pulumi up` alone");
  }
}

function demand(stack: string, checks: readonly Check[]): void {
  checkLines(checks, paint).forEach(say);
  const wrong = objections(checks);
  if (wrong.length > 0) throw new RunbookError("refused", wrong.join("; "), `bin/recovery ${stack} topology`);
}

/** Hosts whose key still answers where they are no longer said to be. */
async function stillAnswering(stack: Stack, { readdressed }: PlaceChanges): Promise<ReadonlySet<string>> {
  const looks = readdressed.map(async ({ from, to }) => {
    const host = stack.topology.hosts.find((one) => one.name === to.name);
    if (host === undefined) return [];
    const old = new StackHost({ ...host, address: from.address }, OLD_ADDRESS_SECONDS);
    try {
      await old.connect();
      return [to.name];
    } catch {
      return [];
    } finally {
      await old.close();
    }
  });
  return new Set((await Promise.all(looks)).flat());
}
