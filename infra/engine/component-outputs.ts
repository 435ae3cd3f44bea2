import { EngineError } from "./engine-error.ts";
import type { Operation } from "./events.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { equal, hasUnknown } from "./value-tools.ts";
import type { ValueMap } from "./values.ts";

/** What an update may record: where something was excluded and is not known, what was recorded before stays. */
export function knownOutputs(outputs: ValueMap, before: ValueMap): ValueMap {
  return Object.fromEntries(
    Object.entries(outputs).flatMap(([key, value]) => {
      if (!hasUnknown(value)) return [[key, value]];
      const known = before[key];
      return known === undefined ? [] : [[key, known]];
    }),
  );
}

/** Completes components: their outputs come after their children, and their hooks are called only then. */
export class ComponentOutputs {
  readonly #run: Run;
  readonly #steps = new Map<string, { readonly operation: Operation; readonly old: Resource | undefined }>();
  readonly #left = new Set<string>();

  constructor(run: Run) {
    this.#run = run;
  }

  /** Notes what the run did to a component when it was registered. */
  note(urn: string, operation: Operation, old: Resource | undefined): void {
    this.#steps.set(urn, { operation, old });
  }

  /** Notes a component that is excluded: it keeps the outputs that it has. */
  leave(urn: string): void {
    this.#left.add(urn);
  }

  /** Sets what a component (not the stack itself) registered as its outputs. */
  async set(urn: string, registered: ValueMap): Promise<void> {
    const run = this.#run;
    if (this.#left.has(urn)) return;
    const step = this.#steps.get(urn);
    if (step === undefined) throw new EngineError(`outputs of ${urn}, which is not registered`);
    const outputs = run.options.preview ? registered : knownOutputs(registered, step.old?.outputs ?? {});
    await run.journal.setOutputs(urn, (resource) =>
      equal(resource.outputs, outputs, true) ? resource : { ...resource, outputs },
    );
    const resource = run.journal.get(urn);
    // A run that has failed starts nothing, and its program is about to end.
    if (resource === undefined || run.stopped) return;
    const news = { newInputs: resource.inputs, newOutputs: outputs };
    if (step.operation === "create") await run.after("AfterCreate", resource, news);
    if (step.operation === "update" && step.old !== undefined) {
      const { inputs: oldInputs, outputs: oldOutputs } = step.old;
      await run.after("AfterUpdate", resource, { ...news, oldInputs, oldOutputs });
    }
  }
}
