import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { runEngine } from "../../infra/engine/index.ts";
import type { Command, EngineEvent, Step } from "../../infra/engine/index.ts";
import { packages } from "../../infra/engine/providers/index.ts";
import { openCrypter } from "../../infra/engine/secrets.ts";
import type { Replayed } from "./programs/replay/replayed.ts";

vi.setConfig({ testTimeout: 120_000 });

const PROGRAM = join(import.meta.dirname, "programs", "replay");
const DATA = join(import.meta.dirname, "data");
const PASSPHRASE = "heatwave-example";
/** How Pulumi marks special values in a state, and which kinds of them there are. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const ASSET = "c44067f5952c0a294b673a41bacd8c17";

type Json = Readonly<Record<string, unknown>>;
interface ResourceJson extends Json {
  readonly urn: string;
  readonly type: string;
  readonly parent?: string;
  readonly provider?: string;
}
interface StepJson {
  readonly op: string;
  readonly urn: string;
  readonly diffReasons?: readonly string[];
  readonly replaceReasons?: readonly string[];
  readonly detailedDiff: unknown;
  readonly newInputs?: Json;
}
interface PreviewJson {
  readonly changeSummary: Readonly<Record<string, number>>;
  readonly steps: readonly StepJson[];
}

/** A stack's state as the CLI left it, and the program that asked for it. Nothing here can reach a host. */
class WrittenStack implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "heatwave-stacks-"));
  readonly stack: string;
  readonly resources: readonly ResourceJson[];
  readonly preview: PreviewJson;
  readonly #salt: string;

  constructor(stack: string) {
    this.stack = stack;
    const file = join(this.root, "state", ".pulumi", "stacks", "heatwave", `${stack}.json`);
    mkdirSync(join(file, ".."), { recursive: true });
    cpSync(join(DATA, `${stack}.checkpoint.json`), file);
    const { latest } = (
      JSON.parse(readFileSync(file, "utf8")) as {
        checkpoint: { latest: { resources: ResourceJson[]; secrets_providers: { state: { salt: string } } } };
      }
    ).checkpoint;
    this.resources = latest.resources;
    this.#salt = latest.secrets_providers.state.salt;
    this.preview = JSON.parse(
      readFileSync(join(DATA, `${stack}-edited.preview.json`), "utf8"),
    ) as PreviewJson;
  }

  /** What the program registers: the state's inputs, and those that a change asks for instead. */
  async #replayed(edited: ReadonlyMap<string, Json>): Promise<readonly Replayed[]> {
    const crypter = await openCrypter(PASSPHRASE, this.#salt);
    const plain = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(plain);
      if (typeof value !== "object" || value === null) return value;
      const { [SIGNATURE]: kind, ciphertext, text } = value as Json;
      if (kind === SECRET) return { $secret: plain(JSON.parse(crypter.decrypt(String(ciphertext)))) };
      if (kind === ASSET) return { $text: text };
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
    };
    const providers = new Map(
      this.resources.filter(({ type }) => type.startsWith("pulumi:providers:")).map((one) => [one.urn, one]),
    );
    return this.resources
      .filter(({ type, urn }) => type !== "pulumi:pulumi:Stack" && !urn.includes("::default_"))
      .map((one): Replayed => {
        const [provider = ""] = (one.provider ?? "").split(/::(?=[^:]*$)/);
        const isDefault = provider.includes("::default_");
        const version = (providers.get(provider)?.["inputs"] as Json | undefined)?.["version"];
        const inputs = { ...((one["inputs"] as Json | undefined) ?? {}), ...(edited.get(one.urn) ?? {}) };
        delete inputs["__defaults"];
        return {
          urn: one.urn,
          type: one.type,
          name: one.urn.split("::").at(-1) ?? "",
          custom: one["custom"] === true,
          parent: one.parent ?? "",
          ...(provider === "" || isDefault ? {} : { provider }),
          ...(isDefault ? { version: String(version) } : {}),
          dependencies: (one["dependencies"] ?? []) as string[],
          protect: one["protect"] === true,
          retainOnDelete: one["retainOnDelete"] === true,
          inputs: plain(inputs) as Json,
          outputs: {},
          options: OPTIONS[one.type] ?? {},
        };
      });
  }

  /** @param edited inputs that differ from the state's, by URN */
  async run(command: Command, edited: ReadonlyMap<string, Json> = new Map()) {
    const replay = join(this.root, "replay.json");
    writeFileSync(replay, JSON.stringify(await this.#replayed(edited)));
    const events: EngineEvent[] = [];
    const result = await runEngine({
      command,
      cwd: PROGRAM,
      stack: this.stack,
      packages,
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        PULUMI_BACKEND_URL: `file://${join(this.root, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
        REPLAY: replay,
      },
      onEvent: (event) => events.push(event),
    });
    const errors = events.flatMap((event) =>
      event.kind === "diagnostic" && event.severity === "error" ? [event.message] : [],
    );
    expect(errors).toEqual([]);
    return { result, events };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

/** Options that our components give and a state does not keep. */
const OPTIONS: Readonly<Record<string, Json>> = {
  "docker:index/container:Container": {
    deleteBeforeReplace: true,
    replaceOnChanges: ["mounts", "healthcheck"],
  },
  "docker:index/network:Network": { deleteBeforeReplace: true },
};

/** Changed properties and how, without what is inside of them: elements of a set have no number that two would agree on. */
function properties(diff: unknown): unknown {
  const kinds = Object.entries((diff ?? {}) as Readonly<Record<string, { readonly kind: string }>>).map(
    ([path, { kind }]) =>
      [path.replace(/[[.].*$/, ""), kind.replace(/^(add|delete|update)/, "change")] as const,
  );
  return Object.fromEntries(kinds.toSorted());
}

const digest = (step: Step): Omit<StepJson, "newInputs"> => ({
  op: step.operation,
  urn: step.urn,
  ...(step.changedKeys.length === 0 ? {} : { diffReasons: [...step.changedKeys].sort() }),
  ...(step.replaceKeys.length === 0 ? {} : { replaceReasons: [...step.replaceKeys].sort() }),
  detailedDiff: properties(step.detailedDiff),
});
const written = ({
  op,
  urn,
  diffReasons,
  replaceReasons,
  detailedDiff,
}: StepJson): Omit<StepJson, "newInputs"> => ({
  op,
  urn,
  ...(diffReasons === undefined ? {} : { diffReasons: [...diffReasons].sort() }),
  ...(replaceReasons === undefined ? {} : { replaceReasons: [...replaceReasons].sort() }),
  detailedDiff: properties(detailedDiff),
});
const byUrn = (a: { urn: string; op: string }, b: { urn: string; op: string }): number =>
  `${a.urn} ${a.op}` < `${b.urn} ${b.op}` ? -1 : 1;

describe("the state of production that the Pulumi CLI wrote", () => {
  test("needs no change by the embedded engine", async () => {
    using stack = new WrittenStack("production");
    const { result } = await stack.run("preview");
    const shown = stack.resources.filter(({ urn }) => !urn.includes("::default_"));
    expect(result.changes).toEqual({ same: shown.length });
  });

  test("is changed by the same steps, for the same reasons, as the CLI proposes", async () => {
    using stack = new WrittenStack("production");
    const edited = new Map(
      stack.preview.steps.flatMap(({ urn, newInputs }) =>
        newInputs === undefined ? [] : [[urn, newInputs] as const],
      ),
    );
    const { result, events } = await stack.run("preview", edited);
    const proposed = events
      .flatMap((event) => (event.kind === "step" ? [event.step] : []))
      .filter((step) => !step.hidden && !step.part && step.operation !== "same")
      .map(digest);
    expect(proposed.toSorted(byUrn)).toEqual(stack.preview.steps.map(written).toSorted(byUrn));
    expect(result.changes).toEqual(stack.preview.changeSummary);
  });
});
