import type { Difference } from "../../drift/drift.ts";
import type { Paint } from "../engine/paint.ts";

export interface Looked {
  readonly hosts: number;
  readonly files: number;
  readonly containers: number;
}

/** What `drift` prints: one block for each difference. Pure. */
export function driftLines(
  stack: string,
  at: string,
  looked: Looked,
  differences: readonly Difference[],
  paint: Paint,
): readonly string[] {
  const scope = `${looked.files} files and ${looked.containers} containers on ${looked.hosts} hosts, roles, databases`;
  const when = paint.dim(`${at.slice(0, 19).replace("T", " ")} UTC`);
  if (differences.length === 0)
    return [`${paint.bold(stack)}  ${paint.green("as declared")}  ${when}`, `  ${scope}`];
  const count = `${differences.length} ${differences.length === 1 ? "difference" : "differences"}`;
  return [
    `${paint.bold(stack)}  ${paint.yellow(count)}  ${when}`,
    `  ${scope}`,
    ...differences.flatMap(({ aspect, where, what, declared, seen, next }) => [
      "",
      `${paint.yellow(aspect)}  ${paint.bold(`${where}: ${what}`)}`,
      `  declared  ${declared}`,
      `  seen      ${seen ?? paint.yellow("could not be looked at")}`,
      `  ${paint.dim("next")}      ${next}`,
    ]),
  ];
}
