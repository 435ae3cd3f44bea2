import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseDocument } from "yaml";
import { DesiredState } from "../../engine/desired-state.ts";
import { runEngine } from "../../engine/index.ts";
import type { EngineEvent, Result } from "../../engine/index.ts";
import { packages } from "../../engine/providers/index.ts";
import { readProject } from "../../engine/stack-file.ts";
import { mapToJson, openSecret } from "../../engine/state-values.ts";
import type { Declared } from "../../policy/rules.ts";
import { placeholders } from "../../review/desired.ts";
import { PreviewDigest, withoutColor } from "../engine/json.ts";

/** Where the programs run. */
export interface Room {
  readonly stack: string;
  /** A folder for overlay and state; what is in it of an earlier run is replaced. */
  readonly scratch: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** What is compared with asks for nothing that can be compared. */
export class BaseFailed extends Error {
  override readonly name = "BaseFailed";
}

/**
 * A state's text as if the program had just been applied; undefined of a stack that `project` does not have. Calls no
 * host and decrypts nothing.
 * @param project folder of Pulumi.yaml
 * @throws {BaseFailed} where the program ends with an error
 */
export async function desiredState(project: string, room: Room): Promise<string | undefined> {
  if (!existsSync(join(project, `Pulumi.${room.stack}.yaml`))) return undefined;
  const state = new DesiredState();
  await desired(project, room, (event) => state.add(event));
  return state.text(projectName(project), room.stack, PASSPHRASE);
}

/** Runs the program against no state at all. */
async function desired(project: string, room: Room, onEvent: (event: EngineEvent) => void): Promise<void> {
  const errors: string[] = [];
  rmSync(join(room.scratch, "state"), { recursive: true, force: true });
  const result = await preview(project, room, (event) => {
    onEvent(event);
    if (event.kind === "diagnostic" && event.severity === "error")
      errors.push(withoutColor(event.message).trim());
  });
  if (!result.succeeded)
    throw new BaseFailed(
      `what the change is compared with cannot be previewed itself:\n${errors.join("\n")}\n  fix: compare with a commit that works, or review a preview of the stack's state (--preview)`,
    );
}

/**
 * What the program of `project` asks for against such a state, in the form of `pulumi preview --json`.
 * @param project folder of Pulumi.yaml
 */
export async function previewAgainst(
  state: string | undefined,
  project: string,
  room: Room,
): Promise<string> {
  const file = join(room.scratch, "state", ".pulumi", "stacks", projectName(project), `${room.stack}.json`);
  rmSync(join(room.scratch, "state"), { recursive: true, force: true });
  mkdirSync(dirname(file), { recursive: true });
  if (state !== undefined) writeFileSync(file, state);
  const digest = new PreviewDigest();
  await preview(project, room, (event) => digest.add(event));
  return digest.text();
}

/**
 * Every resource that the program of `project` asks for, as the policies see it.
 * @param project folder of Pulumi.yaml
 * @throws {BaseFailed} where the program ends with an error
 */
export async function desiredResources(project: string, room: Room): Promise<readonly Declared[]> {
  const resources: Declared[] = [];
  await desired(project, room, (event) => {
    if (event.kind !== "done" || event.step.after === undefined || event.step.hidden) return;
    const { type, urn, inputs, protect, retainOnDelete } = event.step.after;
    const name = urn.split("::").at(-1) ?? "";
    resources.push({ type, name, inputs: mapToJson(inputs, openSecret), protect, retainOnDelete });
  });
  return resources;
}

/** Of a state that holds placeholders alone. */
const PASSPHRASE = "";

function preview(
  project: string,
  { stack, scratch, environment }: Room,
  onEvent: (event: EngineEvent) => void,
): Promise<Result> {
  // In a rehearsal the world's own overlay says what its hosts have.
  const given = environment["HEATWAVE_OVERLAY"] ?? "";
  const overlay = given === "" ? join(scratch, "overlay.json") : given;
  if (given === "") writeFileSync(overlay, JSON.stringify(overlayOf(project, stack)));
  return runEngine({
    command: "preview",
    cwd: project,
    stack,
    packages,
    onEvent,
    env: {
      ...environment,
      PULUMI_BACKEND_URL: `file://${join(scratch, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
      HEATWAVE_OVERLAY: overlay,
    },
  });
}

/** Nothing but placeholders for what is encrypted: image references and host keys are compared as they are. */
function overlayOf(project: string, stack: string): object {
  return {
    world: "review",
    images: {},
    hostKeys: {},
    urls: {},
    secrets: placeholders(configOf(join(project, `Pulumi.${stack}.yaml`))),
  };
}

/** Of a file that is no YAML: nothing. The engine reads it too, and says what is wrong with it. */
function configOf(file: string): Readonly<Record<string, unknown>> {
  if (!existsSync(file)) return {};
  const { errors, contents } = parseDocument(readFileSync(file, "utf8"));
  const document = errors.length === 0 ? (contents?.toJSON() as { config?: unknown } | null) : null;
  const config = document?.config;
  return typeof config === "object" && config !== null ? (config as Record<string, unknown>) : {};
}

const projectName = (project: string): string => readProject(project).name;
