/** An error whose message is made for the reader; no stack is shown. */
export class EngineError extends Error {
  override readonly name: string = "EngineError";
}

/** A provider's function failed: the program's to handle, as with the real engine (pulumi's resmon.Invoke). */
export class FunctionError extends EngineError {
  override readonly name = "FunctionError";
}

/** The stack that was named has neither a file nor a state, and the project has others. */
export class NoSuchStackError extends EngineError {
  override readonly name = "NoSuchStackError";
}

/** The run was told to stop, or another step failed; says nothing by itself. */
export class AbortedError extends Error {
  override readonly name = "AbortedError";
  constructor() {
    super("the run was stopped");
  }
}

/** Something of Pulumi that this engine does not do. */
export function unknownFeature(what: string): EngineError {
  return new EngineError(`the embedded engine does not know ${what}; run this stack with the Pulumi CLI`);
}
