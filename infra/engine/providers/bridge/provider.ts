import type { ValueMap } from "../../values.ts";
import type { CallContext } from "../provider.ts";
import type { Fields } from "./field.ts";
import { previewOutputs, updatedOutputs } from "./outputs.ts";

/** What providers have in common whose resource types are tables of fields, one handler for each. */
export abstract class BridgedProvider<Handler extends { readonly fields: Fields }> {
  readonly acceptSecrets = false;
  readonly #handlers: Readonly<Record<string, Handler>>;

  /** @param handlers by type token */
  protected constructor(handlers: Readonly<Record<string, Handler>>) {
    this.#handlers = handlers;
  }

  /** @throws Error that names what is known */
  protected handlerOf(type: string): Handler {
    const handler = this.#handlers[type];
    if (handler === undefined) throw notKnown("resource type", type, Object.keys(this.#handlers));
    return handler;
  }

  previewCreate(context: CallContext, inputs: ValueMap): Promise<ValueMap> {
    return Promise.resolve(previewOutputs(this.handlerOf(context.type).fields, inputs));
  }

  previewUpdate(
    context: CallContext,
    _id: string,
    _oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return Promise.resolve(updatedOutputs(this.handlerOf(context.type).fields, oldOutputs, news));
  }
}

export function notKnown(kind: "resource type" | "function", token: string, known: readonly string[]): Error {
  return new Error(
    `${kind} ${token} is not known to the embedded engine; known of this package: ${known.join(", ")}`,
  );
}
