import { structuredPatch } from "diff";
import type { PreviewStep, ResourceState } from "./preview.ts";
import { textInput } from "./preview.ts";

/** A command line of `host-tool`, as components/docker-host writes it. */
export type ToolCall =
  | {
      readonly verb: "file";
      readonly kind: string;
      readonly container: string;
      readonly path: string;
      /** sha256 (hex) of the text, then of its programs. */
      readonly hashes: readonly string[];
    }
  | { readonly verb: "secret"; readonly kind: string; readonly container: string; readonly path: string }
  | { readonly verb: "folder"; readonly container: string }
  /** `sha256` (hex) of the rules, where they are applied. */
  | { readonly verb: "firewall"; readonly sha256: string | undefined }
  | { readonly verb: "settings" | "space" };

const CALL = /\/bin\/host-tool (\S+)(.*)$/s;

/** The call that a command resource makes; undefined where it is another command. */
export function toolCall(state: ResourceState | undefined): ToolCall | undefined {
  return toolCallOf(textInput(state, "create"));
}

export function toolCallOf(line: string): ToolCall | undefined {
  const [, verb, rest = ""] = CALL.exec(line) ?? [];
  const [first = "", second = "", third = "", ...others] = rest.trim().split(/\s+/);
  switch (verb) {
    case "file":
      return { verb, kind: first, container: second, path: third, hashes: others };
    case "secret":
      return { verb, kind: first, container: second, path: third };
    case "folder":
      return { verb, container: first };
    case "firewall":
      return { verb, sha256: first === "apply" ? second : undefined };
    case "settings":
    case "space":
      return { verb };
    default:
      return undefined;
  }
}

/** Lines around a change. */
const CONTEXT = 3;

/** The changed lines of a rendered text; undefined where it is none, or generated, or the same. */
export interface TextChange {
  /** Path below the container's folder, e.g. `conf/haproxy.cfg`. */
  readonly path: string;
  /** "" where it is the host's own. */
  readonly container: string;
  /** `@@` hunks of a unified diff, without its two header lines. */
  readonly hunks: string;
  readonly added: number;
  readonly removed: number;
  /** Whether there was none before. */
  readonly isNew: boolean;
}

/**
 * What is shown elsewhere: a program is a bundle, which nobody reads, and a script is a file of the repository, whose
 * change is under review by itself.
 */
const NOT_RENDERED: ReadonlySet<string> = new Set(["program", "script"]);

function renderedText(call: ToolCall | undefined): Pick<TextChange, "path" | "container"> | undefined {
  if (call?.verb === "firewall") return { path: "firewall/rules", container: "" };
  if (call?.verb !== "file" || NOT_RENDERED.has(call.kind)) return undefined;
  return { path: call.path, container: call.container };
}

export function textChange(step: PreviewStep): TextChange | undefined {
  const call = toolCall(step.after) ?? toolCall(step.before);
  const text = renderedText(call);
  if (text === undefined) return undefined;
  const before = textInput(step.before, "stdin");
  const after = textInput(step.after, "stdin");
  if (before === after) return undefined;
  const { hunks } = structuredPatch("", "", before, after, "", "", { context: CONTEXT });
  const lines = hunks.flatMap((hunk) => [
    `@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@`,
    ...hunk.lines,
  ]);
  const count = (sign: string): number =>
    hunks.flatMap((hunk) => hunk.lines).filter((line) => line.startsWith(sign)).length;
  return {
    ...text,
    hunks: lines.join("\n"),
    added: count("+"),
    removed: count("-"),
    isNew: step.before === undefined,
  };
}
