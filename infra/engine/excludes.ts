import { groupByUrn, prerequisites } from "./resource.ts";
import type { Resource } from "./resource.ts";
import { STACK_TYPE, isProviderType } from "./urn.ts";

/**
 * What a run leaves as it is, by URN or glob (`*` = anything but a colon, `**` = anything), as the CLI's
 * `--exclude`. Providers and the stack itself always take part: they are known here alone.
 */
export class Excludes {
  readonly #patterns: readonly RegExp[];
  readonly #withDependents: boolean;
  readonly #actual = new Set<string>();

  /** @param withDependents - leaves out what depends on them as well. */
  constructor(globs: readonly string[], withDependents: boolean) {
    this.#patterns = globs.map(matcher);
    this.#withDependents = withDependents;
  }

  /** Asked in the order of dependencies: an answer for one resource counts for those that depend on it. */
  has(resource: Resource): boolean {
    if (this.#patterns.length === 0 || isProviderType(resource.type) || resource.type === STACK_TYPE)
      return false;
    const isNamed = this.#patterns.some((pattern) => pattern.test(resource.urn));
    const follows = this.#withDependents && [...prerequisites(resource)].some((urn) => this.#actual.has(urn));
    if (isNamed || follows) this.#actual.add(resource.urn);
    return isNamed || follows;
  }

  /** Those of `resources`, in the order of state, that must not be deleted: the excluded ones and all they need. */
  keptFrom(resources: readonly Resource[]): ReadonlySet<Resource> {
    const byUrn = groupByUrn(resources);
    const kept = new Set<Resource>();
    const keep = (resource: Resource): void => {
      if (kept.has(resource)) return;
      kept.add(resource);
      for (const urn of prerequisites(resource)) for (const needed of byUrn.get(urn) ?? []) keep(needed);
    };
    for (const resource of resources) if (this.has(resource)) keep(resource);
    return kept;
  }
}

function matcher(glob: string): RegExp {
  const quote = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const segments = glob.split("**").map((segment) => segment.split("*").map(quote).join("[^:]*"));
  return new RegExp(`^${segments.join(".*")}$`, "s");
}
