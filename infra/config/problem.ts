/** One thing that is wrong in a stack file. */
export interface Problem {
  /** Where: `hosts.dal-01.address`. */
  readonly path: readonly PropertyKey[];
  /** What stands there, shortened; undefined = nothing, or a secret. */
  readonly value: string | undefined;
  readonly allowed: string;
  readonly fix: string;
}

/** A stack file that cannot be used. The message is the whole report; it never holds a secret. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];
  constructor(source: string, problems: readonly Problem[]) {
    super(report(source, problems));
    this.problems = problems;
  }
}

/** The path as an operator writes it: `heatwave:sites[1].host`. */
export function pathText(path: readonly PropertyKey[]): string {
  return `heatwave:${path
    .map((part, i) => (typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`))
    .join("")}`;
}

function report(source: string, problems: readonly Problem[]): string {
  const head = `${source}: ${problems.length === 1 ? "1 problem" : `${problems.length} problems`}; nothing was touched`;
  const blocks = problems.map((problem) =>
    [
      `  ${pathText(problem.path)}`,
      `    value    ${problem.value ?? "(none)"}`,
      `    allowed  ${problem.allowed}`,
      `    fix      ${problem.fix}`,
    ].join("\n"),
  );
  return [head, ...blocks].join("\n\n");
}

/** A value for a report: one line, shortened; never one under `secrets`. */
export function shown(path: readonly PropertyKey[], value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (path[0] === "secrets" && typeof value === "string") return "(hidden: a secret)";
  const text =
    path[0] === "secrets" ? `keys: ${Object.keys(value as object).join(", ")}` : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
