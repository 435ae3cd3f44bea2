import { z } from "zod";

/**
 * A preview as `pulumi preview --json` and `bin/engine preview --json` print it (pkg/backend/display/json.go,
 * `PreviewDigest`): the part that a review reads. Secrets stand in it as `[secret]`.
 */

export type Inputs = Readonly<Record<string, unknown>>;

/** One side of a step. */
export interface ResourceState {
  readonly inputs: Inputs;
  readonly protect: boolean;
  readonly retainOnDelete: boolean;
}

export interface PreviewStep {
  /** Pulumi's name of the operation, e.g. `update`. */
  readonly operation: string;
  readonly urn: string;
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  /** Types of its parents and its own, outermost first. */
  readonly kinds: readonly string[];
  readonly before: ResourceState | undefined;
  readonly after: ResourceState | undefined;
  /** Top-level inputs that change. */
  readonly changed: readonly string[];
  /** Those that force a replacement. */
  readonly replacing: readonly string[];
}

export interface PreviewMessage {
  readonly severity: string;
  readonly text: string;
}

export interface Preview {
  /** By `namespace:key`; structured values as JSON text. */
  readonly config: Readonly<Record<string, string>>;
  readonly steps: readonly PreviewStep[];
  /** Number of resources by operation. */
  readonly counts: Readonly<Record<string, number>>;
  readonly messages: readonly PreviewMessage[];
}

/** A text that is no preview; the message says what to hand in instead. */
export class NotAPreview extends Error {
  override readonly name = "NotAPreview";
}

const State = z.looseObject({
  inputs: z.record(z.string(), z.unknown()).default({}),
  protect: z.boolean().default(false),
  retainOnDelete: z.boolean().default(false),
});

const Digest = z.looseObject({
  config: z.record(z.string(), z.string()).default({}),
  steps: z
    .array(
      z.looseObject({
        op: z.string(),
        urn: z.string(),
        oldState: State.nullish(),
        newState: State.nullish(),
        diffReasons: z.array(z.string()).nullish(),
        replaceReasons: z.array(z.string()).nullish(),
      }),
    )
    .default([]),
  diagnostics: z.array(z.looseObject({ message: z.string(), severity: z.string() })).default([]),
  changeSummary: z.record(z.string(), z.number()),
});

/**
 * Reads a preview.
 * @param source where the text comes from, for the error
 * @throws {NotAPreview}
 */
export function readPreview(text: string, source: string): Preview {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw notAPreview(source, text.trim() === "" ? "is empty" : "is not one JSON object");
  }
  const parsed = Digest.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? "the object" : issue.path.join(".");
    throw notAPreview(source, `${where}: ${issue?.message ?? "has another shape"}`);
  }
  const { config, steps, diagnostics, changeSummary } = parsed.data;
  return {
    config,
    counts: changeSummary,
    messages: diagnostics.map(({ message, severity }) => ({ severity, text: message.trim() })),
    steps: steps
      .map((step): PreviewStep => ({
        operation: step.op,
        urn: step.urn,
        ...partsOf(step.urn),
        before: stateOf(step.oldState),
        after: step.op === "delete" ? undefined : stateOf(step.newState),
        changed: step.diffReasons ?? [],
        replacing: step.replaceReasons ?? [],
      }))
      .toSorted(compareSteps),
  };
}

/** Which of two resources the program registers first is a race; the same change must give the same comment. */
function compareSteps(a: PreviewStep, b: PreviewStep): number {
  return compare(a.name, b.name) || compare(a.urn, b.urn);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function notAPreview(source: string, what: string): NotAPreview {
  return new NotAPreview(
    `${source}: ${what}\n  allowed: what \`pulumi preview --json\` or \`bin/engine preview --json\` prints, with nothing before or after it\n  fix: run one of them again, and look at its messages on stderr`,
  );
}

function stateOf(state: z.output<typeof State> | null | undefined): ResourceState | undefined {
  if (state === null || state === undefined) return undefined;
  return { inputs: state.inputs, protect: state.protect, retainOnDelete: state.retainOnDelete };
}

/** `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME` */
function partsOf(urn: string): Pick<PreviewStep, "type" | "name" | "kinds"> {
  const [, , types = "", ...name] = urn.split("::");
  const kinds = types.split("$");
  return { kinds, type: kinds.at(-1) ?? "", name: name.join("::") };
}

/** A text input, or the empty text. */
export function textInput(state: ResourceState | undefined, key: string): string {
  const value = state?.inputs[key];
  return typeof value === "string" ? value : "";
}
