import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { setSecret } from "./explain.ts";
import type { Finding } from "./problem.ts";
import { ConfigError, present, scalarText } from "./problem.ts";
import { nearest } from "./words.ts";

/** Reading `Pulumi.<stack>.yaml` without decrypting anything. */

export interface StackFile {
  readonly source: string;
  /** The keys of namespace `heatwave`, with a placeholder for each secret. */
  readonly raw: Record<string, unknown>;
  /** What is wrong with the file beyond its shape: passwords in plain text, encryption in other places. */
  readonly findings: readonly Finding[];
  /** Passwords that stand in plain text: refused, and not to be repeated in a report. */
  readonly exposed: readonly string[];
}

/** What stands in place of a secret where nothing is decrypted. */
const PLACEHOLDER = "(a secret that was not decrypted)";
const NAMESPACE = "heatwave:";
const DEEPEST = 20;

/** @param textKeys top-level keys that hold text: Pulumi hands them to the program as text, whatever YAML reads */
export function readStackFile(
  projectDirectory: string,
  stack: string,
  textKeys: ReadonlySet<string>,
): StackFile {
  const source = `Pulumi.${stack}.yaml`;
  const config = configOf(parsed(textOf(projectDirectory, stack, source), source), source);
  const findings: Finding[] = [];
  const exposed: string[] = [];
  const raw: Record<string, unknown> = Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => {
      const ours = key.startsWith(NAMESPACE);
      // As the Pulumi CLI has it: a key without a namespace belongs to the project.
      if (!ours && key.includes(":")) return [];
      // `heatwave:config:primary` is its old long form.
      const name = ours ? key.slice(NAMESPACE.length).replace(/^config:/, "") : key;
      const scalar = typeof value === "boolean" || typeof value === "number";
      const read = textKeys.has(name) && scalar ? String(value) : value;
      return [[name, withoutSecrets([name], read, { source, findings, exposed })]];
    }),
  );
  return { source, raw, findings, exposed };
}

function textOf(projectDirectory: string, stack: string, source: string): string {
  const stacks = stacksIn(projectDirectory);
  // Only a name that stands in the folder is opened: a stack's name is no path.
  if (stacks.includes(stack)) return readFileSync(join(projectDirectory, source), "utf8");
  const bare = stack
    .replace(/^.*\//, "")
    .replace(/^Pulumi\./, "")
    .replace(/\.ya?ml$/, "");
  const near = stacks.includes(bare) ? bare : nearest(bare, stacks);
  return refuse("no such stack file", {
    path: [],
    where: "stack",
    value: stack,
    allowed:
      stacks.length === 0
        ? `the name of a Pulumi.<stack>.yaml, of which ${projectDirectory} has none`
        : `one of ${stacks.join(", ")} (the Pulumi.<stack>.yaml files that are there)`,
    fix: near === undefined ? "name one of them, or write the file first" : `write ${near}`,
  });
}

function stacksIn(projectDirectory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(projectDirectory);
  } catch {
    names = [];
  }
  return names.flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? []).sort();
}

function parsed(text: string, source: string): unknown {
  const lines = new LineCounter();
  // Without the parser's pretty errors: they quote the file, which may hold a password.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const error = document.errors[0];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    return refuse(source, {
      path: [],
      where: `line ${line}, column ${col}`,
      value: keyOfLine(text.split("\n")[line - 1] ?? ""),
      ...(YAML_ERRORS[error.code] ?? NOT_YAML),
    });
  }
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch {
    return refuse(source, {
      path: [],
      where: "the file",
      value: undefined,
      allowed: "YAML without aliases to what is not there, or to itself",
      fix: "write the values out",
    });
  }
}

interface Rule {
  readonly allowed: string;
  readonly fix: string;
}
const NOT_YAML: Rule = {
  allowed: "YAML",
  fix: "look at quotes, brackets, the space behind the colon; put text with special characters in single quotes",
};
const INDENTATION: Rule = {
  allowed: "the entries of one mapping or list under each other, indented alike by spaces",
  fix: "correct the indentation of this line or the one above, or close the bracket that is open before it",
};
const YAML_ERRORS: Readonly<Record<string, Rule>> = {
  TAB_AS_INDENT: { allowed: "spaces for indentation", fix: "replace the tab by spaces" },
  DUPLICATE_KEY: { allowed: "each key once", fix: "remove one of the two" },
  MULTIPLE_DOCS: { allowed: "one YAML document", fix: "remove the line of three hyphens" },
  BAD_INDENT: INDENTATION,
  BLOCK_AS_IMPLICIT_KEY: INDENTATION,
  MULTILINE_IMPLICIT_KEY: INDENTATION,
};

/** Of a line that YAML cannot read only its key is shown: the rest may be a password. */
function keyOfLine(line: string): string | undefined {
  return /^\s*(?:- )?([A-Za-z0-9_:.-]+):(?=\s|$)/.exec(line)?.[1];
}

function configOf(document: unknown, source: string): Record<string, unknown> {
  if (isMapping(document) && isMapping(document["config"])) return document["config"];
  const inside = isMapping(document) ? document["config"] : undefined;
  return refuse(source, {
    path: [],
    where: isMapping(document) ? "config" : "the file",
    value: isMapping(document) ? inside : document,
    kindOnly: true,
    allowed: "a mapping `config` with the keys of docs/configuration.md, e.g. heatwave:primary",
    fix: "start from the example in docs/configuration.md, or from a stack file that is there",
  });
}

interface Context {
  readonly source: string;
  readonly findings: Finding[];
  readonly exposed: string[];
}

/** The value with a placeholder for each encrypted one. Notes what is encrypted or readable in the wrong place. */
function withoutSecrets(path: readonly (string | number)[], value: unknown, context: Context): unknown {
  if (path.length > DEEPEST) {
    return refuse(context.source, {
      path: path.slice(0, 3),
      value: undefined,
      allowed: `at most ${DEEPEST} levels`,
      fix: "remove the alias that contains itself",
    });
  }
  if (Array.isArray(value)) return value.map((inner, i) => withoutSecrets([...path, i], inner, context));
  if (isEncrypted(value)) {
    if (!isSecret(path)) context.findings.push(encryptedInTheWrongPlace(path));
    return PLACEHOLDER;
  }
  if (isMapping(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, withoutSecrets([...path, key], inner, context)]),
    );
  }
  if (path[0] !== "secrets" || value === null || value === undefined) return value;
  context.exposed.push(typeof value === "string" ? value : scalarText(value));
  if (!isSecret(path)) return value;
  context.findings.push({
    path,
    value,
    allowed: "an encrypted value (secure: v1:...); a password never stands readable in the file",
    fix: `think of a new one and set it: \`${setSecret(path)}\``,
  });
  return PLACEHOLDER;
}

function encryptedInTheWrongPlace(path: readonly (string | number)[]): Finding {
  return path[0] === "secrets" && path.length < 3
    ? {
        path,
        value: "(encrypted)",
        allowed: "each secret encrypted by itself",
        fix: `remove it and set each by itself: \`${setSecret(["secrets", "KEY"])}\``,
      }
    : {
        path,
        value: "(encrypted)",
        kindOnly: false,
        allowed: "a readable value; only those under heatwave:secrets are encrypted",
        fix: "set it again without --secret",
      };
}

/** Where one password stands: `secrets.<key>` or `secrets.roles.<name>`. */
function isSecret(path: readonly (string | number)[]): boolean {
  return path[0] === "secrets" && (path[1] === "roles" ? path.length === 3 : path.length === 2);
}

function isEncrypted(value: unknown): boolean {
  return isMapping(value) && Object.keys(value).length === 1 && typeof value["secure"] === "string";
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuse(source: string, finding: Finding): never {
  throw new ConfigError(source, present([finding]));
}
