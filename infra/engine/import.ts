import { EngineError } from "./engine-error.ts";
import * as calls from "./provider-calls.ts";
import type { Provider } from "./providers/provider.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { stepOf } from "./steps.ts";

/** True when the program names something to take over that the state does not have yet. */
export function isImport(importId: string, custom: boolean, old: Resource | undefined): boolean {
  if (!custom || importId === "") return false;
  return old === undefined || old.external || (old.importId === "" ? old.id : old.importId) !== importId;
}

/**
 * Takes over what exists under an id, as it is: it is read, in previews too, and recorded with the inputs that its
 * reality implies. What the program wants of it is compared after.
 * @throws EngineError when there is nothing of that id
 */
export async function importResource(
  run: Run,
  provider: Provider,
  wanted: Resource,
  importId: string,
  old: Resource | undefined,
): Promise<Resource> {
  const operation = old === undefined || old.external ? "import" : "import-replacement";
  const step = stepOf(operation, { ...wanted, id: importId }, old, {});
  const imported = await run.step(step, async () => {
    const noted = { ...wanted, inputs: {}, importId };
    const pending = run.options.preview ? undefined : await run.journal.begin(noted, "importing");
    try {
      const found = await calls.read(run, provider, { ...noted, id: importId });
      if (found === undefined) throw new EngineError(`resource '${importId}' does not exist`);
      const now = new Date().toISOString();
      const after = { ...found, created: now, modified: now };
      if (operation === "import") await run.journal.record(after, old, pending);
      // As with the CLI, protection holds nothing back that is replaced: the program has named another in its place.
      else if (old !== undefined)
        await run.journal.supersede(after, old, { ...old, delete: true, protect: false }, pending);
      return after;
    } catch (error) {
      if (pending !== undefined) await run.journal.cancel(pending);
      throw error;
    }
  });
  return imported ?? wanted;
}

/** Why an imported resource is not replaced: its new one would have another id than the program says. */
export function importReplaceMessage(keys: readonly string[]): string {
  return `previously-imported resources that still specify an ID may not be replaced; please remove the \`import\` declaration from your program;\n${keys.join("\n")}`;
}
