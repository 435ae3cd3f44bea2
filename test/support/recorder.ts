import * as pulumi from "@pulumi/pulumi";

/** One resource as the program registered it. */
export interface Recorded {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly provider: string | undefined;
  /** Id that it is imported by. */
  readonly imported: string | undefined;
}

/**
 * Runs a program against mocks and returns what it registered, in no particular order. One process records one
 * program: the Pulumi runtime keeps its monitor in module state (vitest runs each file in a process of its own).
 */
export async function record(program: () => unknown): Promise<Recorded[]> {
  const recorded: Recorded[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs: given, provider, id }) => {
        const inputs = given as Record<string, unknown>;
        recorded.push({ type, name, inputs, provider, imported: id === "" ? undefined : id });
        const outputs =
          type === "command:remote:Command"
            ? { ...inputs, stdout: "system identifier 7000", stderr: "" }
            : inputs;
        return { id: id ?? `${name}-id`, state: outputs };
      },
      call: ({ token }) => {
        throw new Error(`the program invoked ${token}`);
      },
    },
    "heatwave",
    "production",
    false,
  );
  acceptHooks();
  await pulumi.runtime.runInPulumiStack(async () => ((await program()) ?? {}) as pulumi.Inputs);
  await settled();
  return recorded;
}

/** The SDK's mocks claim to know resource hooks, but have no answer to their registration. */
function acceptHooks(): void {
  const monitor = pulumi.runtime.getMonitor() as unknown as Record<string, unknown>;
  monitor["registerResourceHook"] = (_request: unknown, done: (error: null, answer: object) => void): void =>
    done(null, {});
}

/** Every registration that is under way has been answered. */
async function settled(): Promise<void> {
  const store = pulumi.runtime as unknown as { disconnect?: () => Promise<void> };
  await store.disconnect?.();
}
