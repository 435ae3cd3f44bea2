import { resourceToJson } from "../../engine/checkpoint.ts";
import type { EngineEvent, Step } from "../../engine/events.ts";
import type { Resource } from "../../engine/resource.ts";
import { SECRET, SIGNATURE } from "../../engine/signatures.ts";
import { mapToJson, maskSecret } from "../../engine/state-values.ts";
import type { Json, JsonMap, SealSecret } from "../../engine/state-values.ts";
import { STACK_TYPE } from "../../engine/urn.ts";

/** One object in the form of `pulumi preview --json`, from the events of a preview. */
export class PreviewDigest {
  readonly #steps: JsonMap[] = [];
  readonly #diagnostics: JsonMap[] = [];
  #config: JsonMap = {};
  #rest: JsonMap = {};

  add(event: EngineEvent): void {
    if (event.kind === "prelude") this.#config = event.config;
    else if (event.kind === "step" && isShown(event.step)) this.#steps.push(previewStep(event.step));
    else if (event.kind === "diagnostic" && event.severity !== "debug" && !event.ephemeral) {
      this.#diagnostics.push({
        ...(event.urn === "" ? {} : { urn: event.urn }),
        message: withoutColor(event.message),
        severity: event.severity,
      });
    } else if (event.kind === "summary") {
      const { seconds, changes } = event.summary;
      this.#rest = { duration: Math.round(seconds * 1e9), changeSummary: { ...changes } };
    }
  }

  /** Indented by four, as the CLI prints it. */
  text(): string {
    const digest: JsonMap = {
      ...(Object.keys(this.#config).length === 0 ? {} : { config: this.#config }),
      ...(this.#steps.length === 0 ? {} : { steps: this.#steps }),
      ...(this.#diagnostics.length === 0 ? {} : { diagnostics: this.#diagnostics }),
      ...this.#rest,
    };
    return JSON.stringify(digest, null, 4);
  }
}

function isShown(step: Step): boolean {
  if (step.type === STACK_TYPE) return true;
  const isProtectChanged = step.before?.protect !== step.after?.protect;
  if (step.operation === "same" && !step.hidden && isProtectChanged) return true;
  return !step.hidden && !step.part && step.operation !== "same" && step.operation !== "read";
}

function previewStep(step: Step): JsonMap {
  return {
    op: step.operation,
    urn: step.urn,
    ...(step.provider === "" ? {} : { provider: step.provider }),
    ...(step.before === undefined ? {} : { oldState: resourceToJson(step.before, maskSecret) }),
    ...(step.after === undefined ? {} : { newState: resourceToJson(step.after, maskSecret) }),
    ...(step.changedKeys.length === 0 ? {} : { diffReasons: step.changedKeys }),
    ...(step.replaceKeys.length === 0 ? {} : { replaceReasons: step.replaceKeys }),
    detailedDiff: detailedJson(step),
  };
}

function detailedJson(step: Step): JsonMap | null {
  if (step.detailedDiff === undefined) return null;
  return Object.fromEntries(
    Object.entries(step.detailedDiff).map(([path, { kind, inputDiff }]) => [path, { kind, inputDiff }]),
  );
}

/** The JSON lines of `pulumi up --json`, one engine event each. */
export class EventLines {
  readonly #write: (line: string) => void;
  #sequence = 0;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  add(event: EngineEvent): void {
    for (const body of bodiesOf(event)) this.#line(body);
  }

  #line(body: JsonMap): void {
    const stamp = { sequence: this.#sequence, timestamp: Math.floor(Date.now() / 1000) };
    this.#sequence += 1;
    this.#write(JSON.stringify({ ...stamp, ...body }));
  }
}

function bodiesOf(event: EngineEvent): readonly JsonMap[] {
  switch (event.kind) {
    case "prelude":
      return [{ preludeEvent: { config: event.config } }];
    case "diagnostic": {
      const { urn, message, severity, ephemeral } = event;
      const body: Json = {
        ...(urn === "" ? {} : { urn }),
        message: `${message}\n`,
        color: "never",
        severity,
        ...(ephemeral ? { ephemeral } : {}),
      };
      return [{ diagnosticEvent: body }];
    }
    case "status":
      return [
        {
          diagnosticEvent: {
            urn: event.urn,
            message: `${event.message}\n`,
            color: "never",
            severity: "info",
            ephemeral: true,
          },
        },
      ];
    case "step": {
      const planning = event.planning ? { planning: true } : {};
      return event.step.hidden ? [] : [{ resourcePreEvent: { metadata: metadata(event.step), ...planning } }];
    }
    case "done":
      return event.step.hidden ? [] : [{ resOutputsEvent: { metadata: metadata(event.step) } }];
    case "failed":
      return [{ resOpFailedEvent: { metadata: metadata(event.step), status: 0, steps: 0 } }];
    case "summary": {
      const { preview, succeeded, seconds, changes } = event.summary;
      const body = {
        maybeCorrupt: false,
        durationSeconds: Math.round(seconds),
        resourceChanges: { ...changes },
        PolicyPacks: {},
        isPreview: preview,
        result: succeeded ? "succeeded" : "failed",
      };
      return [{ summaryEvent: body }, { cancelEvent: {} }];
    }
  }
}

function metadata(step: Step): JsonMap {
  return {
    op: step.operation,
    urn: step.urn,
    type: step.type,
    old: stateJson(step.before),
    new: stateJson(step.after),
    ...(step.replaceKeys.length === 0 ? {} : { keys: step.replaceKeys }),
    ...(step.changedKeys.length === 0 ? {} : { diffs: step.changedKeys }),
    detailedDiff: detailedEventJson(step),
    ...(step.part ? {} : { logical: true }),
    provider: step.provider,
  };
}

function detailedEventJson(step: Step): JsonMap | null {
  if (step.detailedDiff === undefined) return null;
  return Object.fromEntries(
    Object.entries(step.detailedDiff).map(([path, { kind, inputDiff }]) => [
      path,
      { diffKind: kind, inputDiff },
    ]),
  );
}

/** Event lines keep the mark of a secret and blank out its text. */
const blind: SealSecret = () => ({ [SIGNATURE]: SECRET, ciphertext: "[secret]" });

function stateJson(resource: Resource | undefined): JsonMap | null {
  if (resource === undefined) return null;
  return {
    type: resource.type,
    urn: resource.urn,
    ...(resource.custom ? { custom: true } : {}),
    ...(resource.delete ? { delete: true } : {}),
    id: resource.id,
    parent: resource.parent,
    ...(resource.protect ? { protect: true } : {}),
    ...(resource.external ? { external: true } : {}),
    ...(resource.retainOnDelete ? { retainOnDelete: true } : {}),
    inputs: mapToJson(resource.inputs, blind),
    outputs: mapToJson(resource.outputs, blind),
    ...(resource.initErrors.length === 0 ? {} : { initErrors: resource.initErrors }),
    ...(resource.hideDiff.length === 0 ? {} : { hideDiffs: resource.hideDiff }),
    provider: resource.provider,
  };
}

/** Programs may log with terminal colours. */
export function withoutColor(text: string): string {
  return text.replaceAll(/\u001b\[[0-9;]*m/g, "");
}
