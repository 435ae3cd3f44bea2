import { CheckpointWriter } from "./checkpoint.ts";
import type { EngineEvent } from "./events.ts";
import type { Resource } from "./resource.ts";
import { newCrypter } from "./secrets.ts";
import { StateSeal } from "./state-values.ts";
import { isList, isMap } from "./value-tools.ts";
import { Secret, Unknown } from "./values.ts";
import type { Value, ValueMap } from "./values.ts";

/** Every id that a preview does not know stands for itself: nothing looks it up, since a preview calls no host. */
const assumedId = (resource: Resource): string => (resource.custom ? `assumed:${nameOf(resource.urn)}` : "");

/**
 * The state of a stack as if its program had just been applied: made of a preview against no state at all. A preview
 * of another version of the program against it compares what the two ask for, without hosts and without a real state.
 * What only an apply would know is left out.
 */
export class DesiredState {
  readonly #resources: Resource[] = [];

  /** Takes every event of the preview. */
  add(event: EngineEvent): void {
    if (event.kind === "done" && event.step.after !== undefined) this.#resources.push(event.step.after);
  }

  /** The checkpoint's text; its secrets are encrypted with `passphrase`. */
  async text(project: string, stack: string, passphrase: string): Promise<string> {
    const crypter = await newCrypter(passphrase);
    const ids = new Map(this.#resources.map((one) => [one.urn, assumedId(one)]));
    const resources = this.#resources.map((one) => ({
      ...one,
      id: ids.get(one.urn) ?? "",
      provider: withId(one.provider, ids),
      outputs: knownOf(one.outputs),
    }));
    const seal = new StateSeal(crypter);
    return new CheckpointWriter(`organization/${project}/${stack}`, crypter.salt, seal.seal).write(
      resources,
      [],
      new Date(),
    );
  }
}

const nameOf = (urn: string): string => urn.split("::").at(-1) ?? urn;

function withId(provider: string, ids: ReadonlyMap<string, string>): string {
  if (provider === "") return "";
  const urn = provider.slice(0, provider.lastIndexOf("::"));
  return `${urn}::${ids.get(urn) ?? provider.slice(urn.length + 2)}`;
}

function knownOf(map: ValueMap): ValueMap {
  return Object.fromEntries(
    Object.entries(map).flatMap(([key, value]) => {
      const known = knownValue(value);
      return known === undefined ? [] : [[key, known]];
    }),
  );
}

function knownValue(value: Value): Value | undefined {
  if (value instanceof Unknown) return undefined;
  if (value instanceof Secret) {
    const inner = knownValue(value.value);
    return inner === undefined ? undefined : new Secret(inner);
  }
  if (isList(value)) return value.flatMap((item) => knownValue(item) ?? []);
  return isMap(value) ? knownOf(value) : value;
}
