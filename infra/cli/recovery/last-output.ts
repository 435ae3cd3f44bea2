/** What the provider gives of a command's last run (pulumi-command: addPreviousOutputInEnv). */
const LAST = "PULUMI_COMMAND_STDOUT";

/** Standard output of the last run of this command resource; undefined where it is new. */
export function lastOutput(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  return (environment[LAST] ?? "").trim() || undefined;
}
