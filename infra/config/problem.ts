/** One thing that is wrong in a stack file, ready to print. It never holds a secret. */
export interface Problem {
  /** Where: `["hosts", "dal-01", "address"]`. Empty where the file as a whole is meant. */
  readonly path: readonly PropertyKey[];
  /** In place of the path, where there is none: `line 3, column 1`. */
  readonly where?: string;
  /** What stands there, shortened; undefined = nothing. */
  readonly value: string | undefined;
  readonly allowed: string;
  readonly fix: string;
}

/** A problem as it is found, with the value itself. `present` makes it printable. */
export interface Finding {
  readonly path: readonly PropertyKey[];
  readonly where?: string;
  readonly value: unknown;
  /** Nothing is known of what stands there (an unknown key): tell its kind, not its text. */
  readonly kindOnly?: boolean;
  readonly allowed: string;
  readonly fix: string;
}

/** A configuration that cannot be used. The message is the whole report; it never holds a secret. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];
  constructor(source: string, problems: readonly Problem[]) {
    super(report(source, problems));
    this.problems = problems;
  }
}

/** The path as an operator writes it, and as `pulumi config set --path` takes it: `heatwave:sites[1].host`. */
export function pathText(path: readonly PropertyKey[], namespace = "heatwave:"): string {
  const parts = path.map((part, i) => {
    if (typeof part === "number") return `[${part}]`;
    const name = String(part);
    if (!/^[A-Za-z0-9_-]+$/.test(name)) return `[${JSON.stringify(shortened(name, 60))}]`;
    return `${i === 0 ? "" : "."}${shortened(name, 60)}`;
  });
  return `${namespace}${parts.join("")}`;
}

function report(source: string, problems: readonly Problem[]): string {
  const head = `${source}: ${problems.length === 1 ? "1 problem" : `${problems.length} problems`}; nothing was touched`;
  const blocks = problems.map((problem) =>
    [
      `  ${problem.where ?? pathText(problem.path)}`,
      `    value    ${problem.value ?? "(none)"}`,
      `    allowed  ${problem.allowed}`,
      `    fix      ${problem.fix}`,
    ].join("\n"),
  );
  return [head, ...blocks].join("\n\n");
}

const HIDDEN = "(hidden: a secret)";

/**
 * Findings as printable problems, one for each place: the first found there says most.
 * @param secrets texts that may not be shown, wherever they stand
 */
export function present(findings: readonly Finding[], secrets: readonly string[] = []): Problem[] {
  const places = new Set<string>();
  return findings
    .filter(({ path, where }) => {
      const place = where ?? JSON.stringify(path.map(String));
      return !places.has(place) && places.add(place);
    })
    .map(({ path, where, value, kindOnly, allowed, fix }) => ({
      path,
      ...(where === undefined ? {} : { where }),
      value: shown(path, value, kindOnly === true, secrets),
      allowed,
      fix,
    }));
}

/** A value for a report, on one line: a scalar's text, a collection's kind; never anything secret. */
function shown(
  path: readonly PropertyKey[],
  value: unknown,
  kindOnly: boolean,
  secrets: readonly string[],
): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "object" && value !== null) return kindOf(value);
  if (path[0] === "secrets" && value !== null) return HIDDEN;
  if (typeof value !== "string") return kindOnly ? kindOf(value) : scalarText(value);
  // A password that strayed to another place is still one. Short ones only whole: "a" is in every text.
  if (secrets.some((secret) => value === secret || (secret.length >= 6 && value.includes(secret))))
    return HIDDEN;
  return kindOnly ? kindOf(value) : JSON.stringify(shortened(value, 110));
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list (${value.length})`;
  if (typeof value === "object" && value !== null) {
    const keys = Object.keys(value);
    return keys.length === 0
      ? "an empty mapping"
      : shortened(`a mapping with ${keys.map((key) => shortened(key, 40)).join(", ")}`, 120);
  }
  if (value === null) return "empty";
  return typeof value === "string" ? "text (not shown)" : `a ${typeof value} (not shown)`;
}

/** The text of a scalar, as a stack file would hold it. */
export function scalarText(value: unknown): string {
  if (value === null || value === undefined) return "(empty)";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 3)}...` : text;
}
