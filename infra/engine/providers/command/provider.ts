import { randomBytes } from "node:crypto";

import { detailedDiff } from "../../compare.ts";
import { equal } from "../../value-tools.ts";
import { Secret, Unknown } from "../../values.ts";
import type { Value, ValueMap } from "../../values.ts";
import type {
  CallContext,
  DiffKind,
  DiffResult,
  PropertyDiff,
  Provider,
  ResourceState,
} from "../provider.ts";
import { commandFor } from "./command-run.ts";
import { Connections } from "./connection.ts";
import { copyToRemote } from "./copy.ts";
import { checkCommandInputs, unknownType } from "./inputs.ts";
import { runLocal } from "./local.ts";
import { runRemote } from "./remote.ts";

const LOCAL = "command:local:Command";
const REMOTE = "command:remote:Command";
const COPY = "command:remote:CopyToRemote";

/** Package `command` with the names, defaults and rules of 1.2.1. */
export class CommandProvider implements Provider {
  readonly acceptSecrets = true;
  readonly #connections = new Connections();

  check(context: CallContext, _olds: ValueMap | undefined, news: ValueMap) {
    return Promise.resolve(checkCommandInputs(context.type, news));
  }

  /**
   * Any change is an update. Adding or taking away `triggers` replaces; that a changed trigger does too is the
   * SDK's `replaceOnChanges: ["triggers[*]"]`, which the engine applies.
   */
  diff(
    _context: CallContext,
    _id: string,
    oldInputs: ValueMap,
    _oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult> {
    const detailed: Record<string, PropertyDiff> = {};
    for (const [path, { kind }] of Object.entries(detailedDiff(oldInputs, news))) {
      const [key = path] = /^\w+/.exec(path) ?? [];
      // What differs inside a secret is nobody's to read.
      if (isSecret(oldInputs[key]) && isSecret(news[key]))
        detailed[key] = { kind: "update", inputDiff: false };
      else detailed[path] = { kind: path === "triggers" ? replaceKind(kind) : kind, inputDiff: false };
    }
    return Promise.resolve({
      changes: Object.keys(detailed).length > 0,
      replaces: detailed["triggers"] === undefined ? [] : ["triggers"],
      deleteBeforeReplace: false,
      detailed,
    });
  }

  previewCreate(context: CallContext, inputs: ValueMap): Promise<ValueMap> {
    return Promise.resolve(context.type === COPY ? inputs : withUnknownResults(inputs));
  }

  previewUpdate(
    context: CallContext,
    _id: string,
    _oldInputs: ValueMap,
    _oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return this.previewCreate(context, news);
  }

  async create(context: CallContext, inputs: ValueMap): Promise<ResourceState> {
    if (context.type === COPY) {
      await copyToRemote(context, this.#connections.open(context, inputs), inputs);
      return { id: hex(), outputs: inputs };
    }
    const name = context.urn.slice(context.urn.lastIndexOf("::") + 2);
    return { id: name + hex(), outputs: await this.#run(context, "create", inputs, {}) };
  }

  /** Commands are not looked at again: what they once gave stays. */
  read(_context: CallContext, id: string, inputs: ValueMap, outputs: ValueMap) {
    return Promise.resolve({ id, inputs, outputs });
  }

  async update(
    context: CallContext,
    _id: string,
    _oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    if (context.type !== COPY) return this.#run(context, "update", news, oldOutputs);
    const same = ["source", "remotePath"].every((key) => equal(oldOutputs[key], news[key]));
    if (!same) await copyToRemote(context, this.#connections.open(context, news), news);
    return news;
  }

  async delete(context: CallContext, _id: string, inputs: ValueMap, outputs: ValueMap): Promise<void> {
    if (context.type !== COPY) await this.#run(context, "delete", inputs, outputs);
  }

  async invoke(
    token: string,
    args: ValueMap,
    signal: AbortSignal,
    programDirectory: string,
  ): Promise<ValueMap> {
    if (token !== "command:local:run") throw new Error(unknownType(token));
    const { inputs, failures } = checkCommandInputs(token, args);
    if (failures.length > 0) {
      throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("; "));
    }
    const command = typeof inputs["command"] === "string" ? inputs["command"] : "";
    const status = (): void => undefined;
    return runLocal({
      command,
      inputs,
      oldOutputs: {},
      programDirectory,
      timeoutSeconds: undefined,
      signal,
      status,
    });
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #run(
    context: CallContext,
    step: "create" | "update" | "delete",
    inputs: ValueMap,
    oldOutputs: ValueMap,
  ): Promise<ValueMap> {
    const command = commandFor(inputs, step);
    if (command === undefined) {
      // Nothing runs, so the results of the run before stand.
      return { ...inputs, stdout: oldOutputs["stdout"] ?? "", stderr: oldOutputs["stderr"] ?? "" };
    }
    switch (context.type) {
      case LOCAL:
        return runLocal({ ...contextOf(context), command, inputs, oldOutputs });
      case REMOTE:
        return runRemote(context, this.#connections.open(context, inputs), command, inputs, oldOutputs);
      default:
        throw new Error(unknownType(context.type));
    }
  }
}

function contextOf({ programDirectory, timeoutSeconds, signal, status }: CallContext) {
  return { programDirectory, timeoutSeconds, signal, status };
}

const isSecret = (value: Value | undefined): boolean => value instanceof Secret;

function replaceKind(kind: DiffKind): DiffKind {
  return kind === "add" ? "add-replace" : kind === "delete" ? "delete-replace" : "update-replace";
}

function withUnknownResults(inputs: ValueMap): ValueMap {
  const unknown: Value = Unknown.instance;
  return {
    ...inputs,
    stdout: unknown,
    stderr: unknown,
    ...(inputs["assetPaths"] === undefined ? {} : { assets: unknown }),
    ...(inputs["archivePaths"] === undefined ? {} : { archive: unknown }),
  };
}

function hex(): string {
  return randomBytes(4).toString("hex");
}
