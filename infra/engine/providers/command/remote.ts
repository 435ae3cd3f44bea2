import type { SshHost } from "../../../hosts/ssh.ts";
import type { DialPolicy } from "../../../hosts/ssh-master.ts";
import { SecretMask } from "../../secret-mask.ts";
import type { ValueMap } from "../../values.ts";
import type { CallContext } from "../provider.ts";
import { readText } from "../read-value.ts";
import {
  declaredEnvironment,
  loggedStreams,
  outputsOfRun,
  previousOutput,
  throwIfFailed,
} from "./command-run.ts";

/** One string of a process's environment may have 128 KiB, its name and `=` included. */
const LONGEST_VARIABLE = 120 * 1024;

/**
 * Runs a command on a host and gives its outputs.
 * @throws Error `Process exited with status N: running "…":` with all it printed; SshError for the connection
 */
export async function runRemote(
  context: CallContext,
  { host, dial }: { readonly host: SshHost; readonly dial: DialPolicy },
  command: string,
  inputs: ValueMap,
  oldOutputs: ValueMap,
): Promise<ValueMap> {
  const mask = new SecretMask();
  mask.addProperties("command:remote:Command", inputs);
  const environment = declaredEnvironment(inputs);
  const connection = { dial, signal: context.signal };
  await refuseUnsendable(host, Object.keys(environment), connection);
  const previous = Object.entries(previousOutput(inputs, oldOutputs));
  const sendable = previous.filter(([, text]) => Buffer.byteLength(text) < LONGEST_VARIABLE);
  if (sendable.length < previous.length) {
    context.status("The previous output is too long for the environment and is left out");
  }
  const stdin = readText(inputs, "stdin") ?? "";
  const logged = loggedStreams(inputs);
  const result = await host.exec(command, {
    ...connection,
    env: { ...environment, ...Object.fromEntries(sendable) },
    ...(stdin === "" ? {} : { stdin }),
    ...(context.timeoutSeconds === undefined ? {} : { timeoutSeconds: context.timeoutSeconds }),
    ...(logged.size === 0
      ? {}
      : {
          onLine: (line: string, from: "stdout" | "stderr") => {
            if (logged.has(from)) context.status(mask.apply(line));
          },
        }),
  });
  const failure = result.exitCode === 0 ? undefined : `Process exited with status ${result.exitCode}`;
  throwIfFailed({ ...result, failure }, command, mask);
  return outputsOfRun(inputs, { ...result, failure });
}

/** sshd drops variables it does not accept without a word; a command must not run without them. */
async function refuseUnsendable(
  host: SshHost,
  names: readonly string[],
  options: { readonly dial: DialPolicy; readonly signal: AbortSignal },
): Promise<void> {
  if (names.length === 0) return;
  const refused = await host.refusedEnvironment(names, options);
  if (refused.length === 0) return;
  throw new Error(
    `could not set environment variable ${refused.map((name) => JSON.stringify(name)).join(", ")}: the host's sshd does not accept it; add AcceptEnv there, or pass the value on stdin`,
  );
}
