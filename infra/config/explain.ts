import type { z } from "zod";
import type { Finding } from "./problem.ts";
import { pathText, scalarText } from "./problem.ts";
import type { Words } from "./words.ts";
import { nearest, said } from "./words.ts";

/**
 * From the validator's issues to findings in the operator's words: what stands there decides what the fix is
 * (nothing at all, an empty key, a number that should be text, a slip of the keyboard).
 */

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

export function findingsOf(issues: readonly Issue[], input: unknown): Finding[] {
  const findings = issues.flatMap((issue) => explained(issue, input));
  // A mistyped key is one mistake: that the right one is missing says nothing new.
  const meant = new Set(findings.flatMap(({ meant }) => meant ?? []));
  return findings.filter(({ path, value }) => value !== undefined || !meant.has(pathText(path)));
}

/** What a mistyped key was meant to be. */
type Explained = Finding & { readonly meant?: string };

/** The command that sets one secret. */
export function setSecret(path: Path): string {
  return `pulumi config set --secret --path '${pathText(path)}'`;
}

function explained(issue: Issue, input: unknown): Explained[] {
  const words = wordsOf(issue);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey([...issue.path, key], input, words));
  }
  if (issue.code === "invalid_key") {
    return [{ path: issue.path, value: issue.path.at(-1), allowed: words.allowed, fix: words.fix }];
  }
  const value = at(input, issue.path);
  return [{ path: issue.path, value, allowed: words.allowed, fix: fixFor(issue, value, words) }];
}

/** A key's own rule says more than "invalid key". */
function wordsOf(issue: Issue): Words {
  const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? "") : issue.message;
  const words = said(message);
  // No schema node is without words (a test walks them all); a user still never sees the validator's own.
  return words ?? { allowed: "see docs/configuration.md", fix: "correct the value", known: [] };
}

function unknownKey(path: Path, input: unknown, { allowed, fix, known }: Words): Explained {
  const key = String(path.at(-1));
  const found = { path, value: at(input, path), kindOnly: true, allowed };
  const head = key.split(/[.[]/, 1)[0] ?? "";
  if (path.length === 1 && head !== key && known.includes(head)) {
    return {
      ...found,
      fix: `it was set without --path: \`pulumi config rm 'heatwave:${key}'\`, then set it again with --path`,
    };
  }
  const near = nearest(key, known);
  if (near === undefined) return { ...found, fix };
  return {
    ...found,
    fix: `rename it to ${near}, or remove it`,
    meant: pathText([...path.slice(0, -1), near]),
  };
}

function fixFor(issue: Issue, value: unknown, { fix, known }: Words): string {
  if (issue.path[0] === "secrets") return secretFix(issue.path, value, fix);
  if (value === undefined) return `add it: ${fix}`;
  if (value === null) return `nothing stands behind the key: ${fix}, or remove the key`;
  const expected = issue.code === "invalid_type" ? issue.expected : undefined;
  if (expected === "string" && typeof value !== "object") {
    return `YAML reads a ${typeof value} here: put quotes around it ("${scalarText(value)}"), or ${fix}`;
  }
  const quoted =
    (expected === "int" || expected === "number") && typeof value === "string" && /^-?[0-9]+$/.test(value);
  if (quoted || (expected === "boolean" && (value === "true" || value === "false"))) {
    return `write it without quotes: ${value}`;
  }
  const near = typeof value === "string" ? nearest(value, known) : undefined;
  return near === undefined ? fix : `write ${near}, or ${fix}`;
}

function secretFix(path: Path, value: unknown, fix: string): string {
  if (path.length === 1) return `set each with \`${setSecret(["secrets", "KEY"])}\``;
  if (path.length === 2 && path[1] === "roles")
    return `set each with \`${setSecret(["secrets", "roles", "NAME"])}\``;
  if (value === undefined) return `\`${setSecret(path)}\``;
  return fix.includes("--path") ? `set another one: \`${setSecret(path)}\`` : fix;
}

function at(input: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    input,
  );
}
