import { findNodeAtLocation, parseTree, stripComments } from "jsonc-parser";
import type { Node, ParseError } from "jsonc-parser";

/**
 * A stack's block of grants in a tailnet's policy file (HuJSON: JSON with comments and trailing commas). Everything
 * outside the block stays as it is, byte for byte. Pure.
 */

/** A policy file that the block cannot be put into. Nothing was written. */
export class PolicyFileError extends Error {
  override readonly name = "PolicyFileError";
}

const INDENT = "\t\t";

/** @param lines grants, each with its comma; empty = the block is taken out */
export function withGrants(policy: string, stack: string, lines: readonly string[]): string {
  const begin = `// heatwave ${stack}: made by pulumi up; what is between this line and the end is overwritten`;
  const end = `// heatwave ${stack}: end`;
  treeOf(policy);
  const bare = withoutBlock(policy, begin, end);
  if (lines.length === 0) return bare;
  const block = [begin, ...lines, end].map((line) => `${INDENT}${line}\n`).join("");
  const result = inserted(bare, block);
  treeOf(result);
  return result;
}

/** The block with its lines; what stood before it stays. */
function withoutBlock(policy: string, begin: string, end: string): string {
  const lines = policy.split("\n");
  const at = (mark: string): number[] => lines.flatMap((line, i) => (line.trim() === mark ? [i] : []));
  const [first, ...moreFirst] = at(begin);
  const [last, ...moreLast] = at(end);
  if (first === undefined && last === undefined) return policy;
  if (first === undefined || last === undefined || moreFirst.length + moreLast.length > 0 || last < first) {
    throw new PolicyFileError(
      `the marks of an earlier block are not one pair (${JSON.stringify(begin)} ... ${JSON.stringify(end)}); fix: remove them and what is between them in the admin console (Access controls), then run \`pulumi up\` again`,
    );
  }
  return [...lines.slice(0, first), ...lines.slice(last + 1)].join("\n");
}

function inserted(policy: string, block: string): string {
  const root = treeOf(policy);
  const grants = root.children
    ?.find((property) => property.children?.[0]?.value === "grants")
    ?.children?.at(1);
  if (grants === undefined) {
    return appended(policy, root, `\n\t"grants": [\n${block}\t],\n`);
  }
  if (grants.type !== "array") throw new PolicyFileError("`grants` in the policy file is no list");
  return appended(policy, grants, `\n${block}\t`);
}

/** Text put in before the closing bracket, with a comma after the last element where it has none. */
function appended(policy: string, list: Node, text: string): string {
  const close = list.offset + list.length - 1;
  const last = list.children?.at(-1);
  if (last === undefined) return policy.slice(0, close).trimEnd() + text + policy.slice(close);
  const after = last.offset + last.length;
  // Between the last element and the bracket there is nothing but blanks, comments and perhaps a comma.
  const comma = stripComments(policy.slice(after, close)).includes(",") ? "" : ",";
  return policy.slice(0, after) + comma + policy.slice(after, close).trimEnd() + text + policy.slice(close);
}

/** @throws {PolicyFileError} where it is no HuJSON object, or has a key twice */
function treeOf(policy: string): Node {
  const errors: ParseError[] = [];
  const root = parseTree(policy, errors, { allowTrailingComma: true, disallowComments: false });
  if (root?.type !== "object" || errors.length > 0) {
    const line = policy.slice(0, errors[0]?.offset ?? 0).split("\n").length;
    throw new PolicyFileError(
      `the tailnet's policy file cannot be read (line ${line}); fix: mend it in the admin console (Access controls)`,
    );
  }
  const names = (root.children ?? []).map((property) => String(property.children?.[0]?.value).toLowerCase());
  if (names.filter((name) => name === "grants").length > 1) {
    throw new PolicyFileError("the tailnet's policy file has `grants` twice; fix: make them one list");
  }
  if (names.includes("grants") && findNodeAtLocation(root, ["grants"]) === undefined) {
    throw new PolicyFileError(
      "the tailnet's policy file writes `grants` in capitals; fix: write it as grants",
    );
  }
  return root;
}
