import type { Violation } from "../policy/rules.ts";
import { violations } from "../policy/rules.ts";
import { findingsOf } from "./classify.ts";
import type { Effect, Feeling, Finding, Place } from "./effect.ts";
import { EFFECTS, FEELINGS, stronger } from "./effect.ts";
import type { Preview, PreviewMessage } from "./preview.ts";
import type { ReviewedStack } from "./stack.ts";
import { placeOf, stackOf } from "./stack.ts";
import type { TextChange } from "./texts.ts";
import { textChange } from "./texts.ts";

/** What a preview was made against. */
export type Basis =
  /** The stack's own state: what `up` would do. */
  | { readonly kind: "state" }
  /** What another version of the program asks for, without state and secrets. */
  | { readonly kind: "desired"; readonly base: string };

/** One row of the verdict. */
export interface PlaceReview {
  readonly place: Place;
  /** By the stack file before the change; undefined of a site that is new. */
  readonly role: "primary" | "standby" | undefined;
  readonly effect: Effect;
  readonly writes: Feeling;
  readonly findings: readonly Finding[];
}

/** One text's change, wherever it is the same. */
export interface TextReview extends Omit<TextChange, "container"> {
  readonly places: readonly Place[];
}

export interface ResourceReview {
  readonly operation: string;
  readonly type: string;
  readonly name: string;
  readonly changed: readonly string[];
}

export interface Review {
  readonly stack: ReviewedStack;
  readonly basis: Basis;
  /** False where the preview itself failed: then nothing of it counts. */
  readonly isComplete: boolean;
  readonly writes: Feeling;
  readonly places: readonly PlaceReview[];
  /** Commands, in their order, each once. */
  readonly afterwards: readonly string[];
  /** Rules of the policy pack that something which changes would break. */
  readonly violations: readonly Violation[];
  readonly texts: readonly TextReview[];
  readonly resources: readonly ResourceReview[];
  readonly counts: Readonly<Record<string, number>>;
  readonly messages: readonly PreviewMessage[];
}

/**
 * Says what `up` would do to the stack's write path, from its preview.
 * @param asked name of the stack that was previewed
 */
export function review(preview: Preview, basis: Basis, asked: string): Review {
  const stack = { ...stackOf(preview), name: asked };
  const findings = preview.steps.flatMap((step) => findingsOf(step, stack));
  const isComplete = !preview.messages.some(({ severity }) => severity === "error");
  const places = placesOf(findings, stack);
  const writes = places.reduce<Feeling>((all, place) => stronger(FEELINGS, all, place.writes), "nothing");
  return {
    stack,
    basis,
    isComplete,
    writes: isComplete ? writes : "unknown",
    places,
    afterwards: [...new Set(findings.flatMap(({ afterwards }) => afterwards))],
    violations: violationsOf(preview),
    texts: textsOf(preview, stack),
    resources: preview.steps
      .filter(({ operation, type }) => operation !== "same" && type !== "pulumi:pulumi:Stack")
      .map(({ operation, type, name, changed, replacing }) => ({
        operation,
        type,
        name,
        changed:
          operation === "create" || operation === "delete" ? [] : [...new Set([...replacing, ...changed])],
      })),
    counts: preview.counts,
    messages: preview.messages,
  };
}

/** Every site and router, affected or not, in the file's order; hosts and the stack where something is theirs. */
function placesOf(findings: readonly Finding[], stack: ReviewedStack): readonly PlaceReview[] {
  const places = new Map<string, Place>();
  const note = (place: Place): void => void places.set(keyOf(place), place);
  for (const name of stack.sites) note({ kind: "site", name });
  for (const name of stack.routers) note({ kind: "router", name });
  for (const { place } of findings) note(place);
  return [...places.values()].map((place): PlaceReview => {
    const own = findings.filter((finding) => keyOf(finding.place) === keyOf(place));
    return {
      place,
      role: place.kind === "site" ? roleOf(place.name, stack, own) : undefined,
      effect: own.reduce<Effect>((all, { effect }) => stronger(EFFECTS, all, effect), "none"),
      writes: own.reduce<Feeling>((all, { writes }) => stronger(FEELINGS, all, writes), "nothing"),
      findings: own,
    };
  });
}

function roleOf(
  site: string,
  stack: ReviewedStack,
  findings: readonly Finding[],
): "primary" | "standby" | undefined {
  const isNew = findings.some(({ effect, what }) => effect === "new" && what === "PostgreSQL");
  if (stack.primary === undefined || isNew) return undefined;
  return stack.primary === site ? "primary" : "standby";
}

const keyOf = ({ kind, name }: Place): string => `${kind} ${name}`;

/** Of what is made or changed: the rest was judged when it changed. What is adopted is as it was found. */
function violationsOf(preview: Preview): readonly Violation[] {
  return violations(
    preview.steps.flatMap(({ operation, type, name, after }) =>
      after === undefined || operation === "delete" || operation === "import"
        ? []
        : [{ type, name, ...after }],
    ),
  );
}

function textsOf(preview: Preview, stack: ReviewedStack): readonly TextReview[] {
  const byText = new Map<string, TextReview & { readonly places: Place[] }>();
  for (const step of preview.steps) {
    if (step.operation === "delete") continue;
    const change = textChange(step);
    if (change === undefined) continue;
    const { container: _container, ...text } = change;
    const key = `${change.path}\n${change.hunks}`;
    const known = byText.get(key);
    if (known === undefined) byText.set(key, { ...text, places: [placeOf(step, stack)] });
    else known.places.push(placeOf(step, stack));
  }
  return [...byText.values()];
}
