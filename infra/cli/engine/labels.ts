import type { Operation, Summary } from "../../engine/events.ts";
import type { Paint } from "./paint.ts";

/** What a reader calls a type: without the module, which repeats the name. */
export function shortType(type: string): string {
  const [pack, module, name] = type.split(":");
  if (pack === "pulumi" && module === "providers") return `provider ${name ?? ""}`;
  if (module?.includes("/") === true) return `${pack ?? ""}:${name ?? ""}`;
  return type;
}

export const nameOf = (urn: string): string => urn.split("::").slice(3).join("::");

interface Words {
  readonly sign: string;
  readonly future: string;
  readonly present: string;
  readonly past: string;
}

const WORDS: Readonly<Record<Operation, Words>> = {
  same: { sign: " ", future: "unchanged", present: "keeping", past: "unchanged" },
  create: { sign: "+", future: "to create", present: "creating", past: "created" },
  update: { sign: "~", future: "to update", present: "updating", past: "updated" },
  delete: { sign: "-", future: "to delete", present: "deleting", past: "deleted" },
  replace: { sign: "+-", future: "to replace", present: "replacing", past: "replaced" },
  "create-replacement": { sign: "++", future: "to make anew", present: "making anew", past: "made anew" },
  "delete-replaced": {
    sign: "--",
    future: "to delete the old",
    present: "deleting the old",
    past: "old deleted",
  },
  read: { sign: ">", future: "to read", present: "reading", past: "read" },
  import: { sign: "=", future: "to import", present: "importing", past: "imported" },
  "import-replacement": {
    sign: "=>",
    future: "to import instead",
    present: "importing",
    past: "imported",
  },
  "read-replacement": { sign: ">+", future: "to read instead", present: "reading", past: "read" },
  refresh: { sign: "~", future: "to refresh", present: "refreshing", past: "refreshed" },
  discard: { sign: "<", future: "to forget", present: "forgetting", past: "forgotten" },
  "discard-replaced": { sign: "<", future: "to forget", present: "forgetting", past: "forgotten" },
  "remove-pending-replace": { sign: "-", future: "to forget", present: "forgetting", past: "forgotten" },
};

export const wordsOf = (operation: Operation): Words => WORDS[operation];

/** Colours a text by what the operation does. */
export function colored(operation: Operation, text: string, paint: Paint): string {
  const { sign } = WORDS[operation];
  if (operation === "replace") return paint.magenta(text);
  if (sign.startsWith("+")) return paint.green(text);
  if (sign.startsWith("-")) return paint.red(text);
  return sign.startsWith("~") ? paint.yellow(text) : text;
}

const ORDER: readonly Operation[] = [
  "create",
  "update",
  "replace",
  "delete",
  "read",
  "discard",
  "delete-replaced",
  "remove-pending-replace",
];

/** `Resources: 3 to create, 1 to update, 70 unchanged (4.2 s)`. */
export function summaryLine(summary: Summary, paint: Paint): string {
  const parts = ORDER.flatMap((operation) => {
    const count = summary.changes[operation] ?? 0;
    const words = WORDS[operation];
    if (count === 0) return [];
    return [colored(operation, `${count} ${summary.preview ? words.future : words.past}`, paint)];
  });
  if (summary.failures > 0) parts.push(paint.red(`${summary.failures} failed`));
  parts.push(`${summary.changes.same ?? 0} unchanged`);
  return `${paint.bold("Resources:")} ${parts.join(", ")} ${paint.dim(`(${formatSeconds(summary.seconds)})`)}`;
}

/** `0.4 s`, `12 s`, `3 min 05 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}
