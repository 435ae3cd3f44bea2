import type { SecretMask } from "../../secret-mask.ts";
import type { ValueMap } from "../../values.ts";
import { readFlag, readText, readTextMap } from "../read-value.ts";

/** What a finished command left; `output` is both streams in the order of arrival. */
export interface Finished {
  /** undefined: it succeeded; else how it ended, in the real provider's words (`exit status 1`). */
  readonly failure: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly output: string;
}

/** Which streams become progress lines. */
export function loggedStreams(inputs: ValueMap): ReadonlySet<"stdout" | "stderr"> {
  switch (readText(inputs, "logging")) {
    case "none":
      return new Set();
    case "stdout":
      return new Set(["stdout"]);
    case "stderr":
      return new Set(["stderr"]);
    default:
      return new Set(["stdout", "stderr"]);
  }
}

/** The results of the run before, which the next run finds in its environment. */
export function previousOutput(inputs: ValueMap, oldOutputs: ValueMap): Record<string, string> {
  if (readFlag(inputs, "addPreviousOutputInEnv") === false) return {};
  const variables = { PULUMI_COMMAND_STDOUT: "stdout", PULUMI_COMMAND_STDERR: "stderr" };
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, key]) => {
      const text = readText(oldOutputs, key) ?? "";
      return text === "" ? [] : [[name, text]];
    }),
  );
}

export function declaredEnvironment(inputs: ValueMap): Record<string, string> {
  return readTextMap(inputs, "environment") ?? {};
}

/** The outputs of a run that succeeded; one trailing newline goes. */
export function outputsOfRun(inputs: ValueMap, run: Finished): ValueMap {
  return { ...inputs, stdout: run.stdout.replace(/\n$/, ""), stderr: run.stderr.replace(/\n$/, "") };
}

/** @throws Error with the command and all it printed, secrets hidden, when the run failed */
export function throwIfFailed(run: Finished, command: string, mask: SecretMask): void {
  if (run.failure === undefined) return;
  throw new Error(
    `${run.failure}: running ${mask.apply(JSON.stringify(command))}:\n${mask.apply(run.output)}`,
  );
}

/** The command of a lifecycle step; undefined = nothing to run. */
export function commandFor(inputs: ValueMap, step: "create" | "update" | "delete"): string | undefined {
  if (step === "update") return readText(inputs, "update") ?? readText(inputs, "create");
  return readText(inputs, step);
}
