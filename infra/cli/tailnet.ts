import { text } from "node:stream/consumers";
import { Command } from "@commander-js/extra-typings";
import { TailnetApi, TailnetApiError } from "../tailnet/api.ts";
import { ensureGrants } from "../tailnet/ensure-grants.ts";
import { PolicyFileError } from "../tailnet/policy-file.ts";

/** `bin/tailnet`: what `pulumi up` runs for the stack's part of the tailnet's policy file. */
const program = new Command("tailnet").description(
  "The stack's part of the tailnet's policy file. `pulumi up` runs it.",
);
program
  .command("grants")
  .argument("<stack>", "whose block of grants")
  .argument("<what>", "merge or remove")
  .description(
    "merge HEATWAVE_GRANTS into the policy file, or remove them; the API's credentials come on stdin, as JSON",
  )
  .action(async (stack, what) => {
    if (what !== "merge" && what !== "remove")
      throw new PolicyFileError(`unknown word ${JSON.stringify(what)}; allowed: merge, remove`);
    const api = new TailnetApi(
      JSON.parse(await text(process.stdin)) as ConstructorParameters<typeof TailnetApi>[0],
    );
    const lines = what === "remove" ? [] : (process.env["HEATWAVE_GRANTS"] ?? "").split("\n").filter(Boolean);
    const done = await ensureGrants(api, stack, lines);
    console.error(`grants of ${stack}: the tailnet's policy file is ${done}`);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof TailnetApiError || error instanceof PolicyFileError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
