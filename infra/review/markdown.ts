import type { Effect, Feeling, Finding, Place } from "./effect.ts";
import type { PlaceReview, Review, TextReview } from "./review.ts";

export interface MarkdownOptions {
  /** Characters at most: a comment on GitHub holds 65 536. @default 30 000, so that two stacks share one */
  readonly limit?: number;
}

const LIMIT = 30_000;
/** What a comment of ours begins with, so that the next one takes its place. */
export const MARKER = "<!-- heatwave-review";
/** Lines of one text's diff beyond which it is folded away; a new text always is. */
const OPEN_LINES = 40;

/** What the comment of a pull request says of one stack: the effect on the writes, the texts, the resources. */
export function markdownOf(review: Review, options: MarkdownOptions = {}): string {
  const limit = options.limit ?? LIMIT;
  const head = [
    ...headline(review),
    ...messages(review),
    ...policies(review),
    ...verdict(review),
    ...afterwards(review),
  ];
  const foot = ["", ...footnote(review), ""];
  const resources = resourceSection(review);
  const texts = review.texts.map((text) => textSection(text));
  let room = limit - lengthOf([...head, ...foot, TEXTS_LEFT_OUT, RESOURCES_LEFT_OUT, TEXTS_TITLE]);
  const fitting: string[][] = [];
  for (const section of texts) {
    if (lengthOf(section) > room) break;
    room -= lengthOf(section);
    fitting.push([...section]);
  }
  const left = texts.length - fitting.length;
  return [
    ...head,
    ...(texts.length === 0 ? [] : ["", TEXTS_TITLE, ...fitting.flat()]),
    ...(left === 0 ? [] : ["", TEXTS_LEFT_OUT.replace("N", String(left))]),
    "",
    ...(lengthOf(resources) > room ? [RESOURCES_LEFT_OUT] : resources),
    ...foot,
  ].join("\n");
}

const TEXTS_TITLE = "### Rendered texts";
const TEXTS_LEFT_OUT =
  "_N of the texts are left out, since the comment would be too long: run the preview with `--diff`._";
const RESOURCES_LEFT_OUT = "_The list of resources is left out, since the comment would be too long._";

const lengthOf = (lines: readonly string[]): number => lines.reduce((sum, line) => sum + line.length + 1, 0);

function headline(review: Review): readonly string[] {
  const { stack } = review;
  return [`${MARKER}: ${stack.name} -->`, `## ${stack.name}: ${sentence(review)}`];
}

/** The verdict for the write path as a whole, in one line. */
export function sentence(review: Review): string {
  const { stack, writes } = review;
  if (!review.isComplete) return "the preview failed, so the effect is unknown";
  if (review.resources.length === 0) return "nothing changes";
  if (stack.isNew) return "a new stack; nothing serves yet";
  const where = review.places
    .filter((place) => place.writes === writes)
    .map(({ place }) => placeText(place))
    .join(", ");
  const flip = stack.flipTo === undefined ? "" : `, and there is a flip to ${stack.flipTo}`;
  switch (writes) {
    case "nothing":
      return "writes go on without interruption";
    case "refused":
      return `writes go on; \`up\` stops before it is done (${where})${flip}`;
    case "flip":
      return `a flip to ${stack.flipTo ?? "?"}: writes stop for a moment`;
    case "interrupted":
      return `writes are interrupted (${where})${flip}`;
    case "unknown":
      return `the effect on writes is unknown (${where})${flip}`;
  }
}

const EFFECT_WORDS: Readonly<Record<Effect, string>> = {
  none: "none",
  reload: "reload",
  restart: "restart",
  new: "new",
  removed: "removed",
  replace: "replace",
  flip: "**flip**",
  unknown: "**unknown**",
};

const WRITE_WORDS: Readonly<Record<Feeling, string>> = {
  nothing: "go on",
  refused: "go on; `up` stops",
  flip: "**stop for a moment**",
  interrupted: "**interrupted**",
  unknown: "**unknown**",
};

function verdict({ places, resources }: Review): readonly string[] {
  if (resources.length === 0) return [];
  return [
    "",
    "| where | effect | writes | why |",
    "| --- | --- | --- | --- |",
    ...places.map(
      (place) =>
        `| ${placeCell(place)} | ${EFFECT_WORDS[place.effect]} | ${WRITE_WORDS[place.writes]} | ${reasons(place.findings)} |`,
    ),
  ];
}

function placeText({ kind, name }: Place): string {
  return kind === "stack" ? "the stack" : `${kind} ${name}`;
}

function placeCell({ place, role }: PlaceReview): string {
  return role === undefined ? cell(placeText(place)) : `${cell(placeText(place))} (${role})`;
}

/** Loud findings each; of quiet ones only that they are there, unless there is nothing else. */
function reasons(findings: readonly Finding[]): string {
  const lines = new Map<string, number>();
  const loud = findings.filter(({ effect }) => effect !== "none");
  for (const { what, why } of loud.length > 0 ? loud : findings) {
    const line = `${what}: ${why}`;
    lines.set(line, (lines.get(line) ?? 0) + 1);
  }
  const hidden = loud.length > 0 ? findings.length - loud.length : 0;
  return [
    ...[...lines].map(([line, times]) => cell(times === 1 ? line : `${line} (${times} times)`)),
    ...(hidden === 0 ? [] : [`and ${hidden} without effect`]),
  ].join("<br>");
}

function afterwards({ afterwards: commands }: Review): readonly string[] {
  if (commands.length === 0) return [];
  return ["", "What is left to do after `up`:", "", ...fenced("sh", commands.join("\n"))];
}

function messages(review: Review): readonly string[] {
  const told = review.messages.filter(({ severity }) => severity === "error" || severity === "warning");
  return told.flatMap(({ severity, text }) => ["", `**${severity}**`, "", ...fenced("", text)]);
}

function policies({ violations }: Review): readonly string[] {
  return violations.flatMap(({ rule, resource, message }) => [
    "",
    `**policy ${rule}** is broken by ${cell(resource)}:`,
    "",
    ...fenced("", message),
  ]);
}

function textSection(text: TextReview): readonly string[] {
  const title = `\`${text.path}\` at ${text.places.map(placeText).join(", ")} (+${text.added} −${text.removed})`;
  const lines = fenced("diff", text.hunks);
  if (lines.length <= OPEN_LINES && !text.isNew) return ["", title, "", ...lines];
  return ["", "<details>", `<summary>${title.replaceAll("`", "")}</summary>`, "", ...lines, "", "</details>"];
}

function resourceSection({ resources, counts }: Review): readonly string[] {
  const same = counts["same"] ?? 0;
  if (resources.length === 0) return [`${same} resources, all unchanged.`];
  const byOperation = new Map<string, number>();
  for (const { operation } of resources) byOperation.set(operation, (byOperation.get(operation) ?? 0) + 1);
  const summary = [...byOperation].map(([operation, count]) => `${count} to ${operation}`).join(", ");
  return [
    "<details>",
    `<summary>Resources: ${summary}, ${same} unchanged</summary>`,
    "",
    "| operation | resource | type | changes |",
    "| --- | --- | --- | --- |",
    ...resources.map(
      ({ operation, name, type, changed }) =>
        `| ${cell(operation)} | ${cell(name)} | ${cell(type)} | ${cell(changed.join(", "))} |`,
    ),
    "",
    "</details>",
  ];
}

function footnote({ basis, stack }: Review): readonly string[] {
  const look = `bin/recovery ${stack.name} topology`;
  if (basis.kind === "desired")
    return [
      `<sub>Compared without the stack's state and secrets: what \`${basis.base}\` asks for with what this change asks for. What is really there may differ, and a secret that was only encrypted anew shows as changed. Who is primary is what the stack file declares.</sub>`,
    ];
  return [
    `<sub>Compared with the stack's state. Who is primary is what the stack file declares; \`${look}\` says who it is now. Secrets are not shown.</sub>`,
  ];
}

/** A code block whose fence the text cannot end. */
function fenced(language: string, text: string): readonly string[] {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(Math.max(3, longest + 1));
  return [`${fence}${language}`, ...text.split("\n"), fence];
}

/** One line of a table: code spans stay, whatever else Markdown or HTML would read is taken as text. */
function cell(text: string): string {
  return text
    .split(/(`[^`\n]*`)/)
    .map((part) =>
      part.startsWith("`")
        ? part.replaceAll("|", "\\|")
        : part
            .replaceAll("&", "&amp;")
            .replaceAll("<", "&lt;")
            .replaceAll("|", "\\|")
            .replaceAll(/([*@[\]]|(?<!\w)_|_(?!\w))/g, "\\$1")
            .replaceAll(/\s*\n\s*/g, " "),
    )
    .join("");
}
