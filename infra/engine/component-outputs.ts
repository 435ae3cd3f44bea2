import { EngineError } from "./engine-error.ts";
import type { Operation } from "./events.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { equal } from "./value-tools.ts";
import type { ValueMap } from "./values.ts";

/** Completes components: their outputs come after their children, and their hooks are called only then. */
export class ComponentOutputs {
  readonly #run: Run;
  readonly #steps = new Map<string, { readonly operation: Operation; readonly old: Resource | undefined }>();

  constructor(run: Run) {
    this.#run = run;
  }

  /** Notes what the run did to a component when it was registered. */
  note(urn: string, operation: Operation, old: Resource | undefined): void {
    this.#steps.set(urn, { operation, old });
  }

  /** Sets what a component (not the stack itself) registered as its outputs. */
  async set(urn: string, outputs: ValueMap): Promise<void> {
    const run = this.#run;
    const step = this.#steps.get(urn);
    if (step === undefined) throw new EngineError(`outputs of ${urn}, which is not registered`);
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
