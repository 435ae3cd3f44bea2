import type { AliasGoal, Goal } from "./goal.ts";
import { makeUrn, parseUrn } from "./urn.ts";

/**
 * The other URNs under which a resource may stand in the old state, best first.
 * @param parentAlias - the old URN under which the parent itself was found, when that differs from its own.
 */
export function aliasUrns(
  goal: Goal,
  stack: string,
  project: string,
  parentAlias: string | undefined,
): readonly string[] {
  const own = goal.aliases.map((alias) => collapse(alias, goal, stack, project));
  const found = new Set(own);
  if (parentAlias !== undefined && goal.parent !== "") {
    const parentName = parseUrn(goal.parent).name;
    found.add(inherited(stack, project, goal.type, goal.name, parentName, parentAlias));
    for (const alias of own) {
      const parts = parseUrn(alias);
      found.add(inherited(parts.stack, parts.project, parts.type, parts.name, parentName, parentAlias));
    }
  }
  return [...found];
}

function collapse(alias: AliasGoal, goal: Goal, stack: string, project: string): string {
  if ("urn" in alias) return alias.urn;
  return makeUrn(
    alias.stack ?? stack,
    alias.project ?? project,
    alias.parent ?? goal.parent,
    alias.type ?? goal.type,
    alias.name ?? goal.name,
  );
}

/** A child named after its parent (`<parent>-thing`) is taken to have been named after the parent's old name. */
function inherited(
  stack: string,
  project: string,
  type: string,
  name: string,
  parentName: string,
  parentAlias: string,
): string {
  const oldParentName = parseUrn(parentAlias).name;
  const oldName = name.startsWith(parentName) ? oldParentName + name.slice(parentName.length) : name;
  return makeUrn(stack, project, parentAlias, type, oldName);
}
