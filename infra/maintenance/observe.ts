import { mergeLedgers, readOperations } from "../runbooks/observe/operations.ts";
import type { LedgerEntry } from "../runbooks/observe/observation.ts";
import type { Stack } from "../runbooks/observe/observe.ts";
import { hostOf } from "../runbooks/observe/observe.ts";
import type { StackHost } from "../hosts/stack-host.ts";
import type { Declared } from "./declared.ts";
import { INSPECT_SCRIPT, onlyGone, readContainers } from "./inspect.ts";
import type { ProxyAdapter } from "./proxy.ts";
import type { ContainerSeen, HostSeen, ProxySeen, Seen, Window } from "./seen.ts";
import { readWindow } from "./seen.ts";

/** Seconds for each question; all hosts are asked at once. */
const ASK_SECONDS = 20;
const LEDGER_LINES = 200;

/** Looks at every host of the stack. One that cannot be asked costs its own rows alone. */
export async function look(stack: Stack, declared: Declared | undefined, proxy: ProxyAdapter): Promise<Seen> {
  const looked = await Promise.all(
    stack.topology.hosts.map((host) => lookAt(hostOf(stack, host.name), declared, proxy)),
  );
  return {
    stack: stack.name,
    at: new Date().toISOString(),
    hosts: looked.map(({ host }) => host),
    ledger: mergeLedgers(looked.map(({ ledger }) => ledger)),
  };
}

async function lookAt(
  host: StackHost,
  declared: Declared | undefined,
  proxy: ProxyAdapter,
): Promise<{ readonly host: HostSeen; readonly ledger: readonly LedgerEntry[] }> {
  const nothing = { name: host.name, lock: null, window: null, containers: [], proxy: null };
  try {
    await host.connect();
    const [operations, window, containers] = await Promise.all([
      tool(host, ["operations", String(LEDGER_LINES)]).then(readOperations),
      windowOn(host),
      containersOn(host),
    ]);
    const container =
      window?.proxy?.container ??
      (declared?.hosts.includes(host.name) === true ? declared.proxy.container : undefined);
    const seen: HostSeen = {
      name: host.name,
      silent: null,
      lock: operations.lock,
      window,
      containers,
      proxy: container === undefined ? null : await proxyOn(host, container, containers, proxy),
    };
    return { host: seen, ledger: operations.ledger };
  } catch (error) {
    return { host: { ...nothing, silent: (error as Error).message }, ledger: [] };
  }
}

async function tool(host: StackHost, args: readonly string[]): Promise<string> {
  const asked = await host.tool(args, { seconds: ASK_SECONDS });
  if (asked.exitCode === 0) return asked.stdout;
  const said = asked.stderr.trim().replace(/^error: /, "");
  throw new Error(
    said.includes("unknown verb")
      ? `the host tool is older than this checkout and knows no maintenance; \`pulumi up\` installs the new one`
      : said || `host-tool exited with ${asked.exitCode}`,
  );
}

async function windowOn(host: StackHost): Promise<Window | null> {
  const text = await tool(host, ["maintenance"]);
  return text.trim() === "" ? null : readWindow(text);
}

async function containersOn(host: StackHost): Promise<readonly ContainerSeen[]> {
  const asked = await host.run(INSPECT_SCRIPT, [String(ASK_SECONDS - 2)], { seconds: ASK_SECONDS });
  if (asked.exitCode !== 0 && !onlyGone(asked.stderr))
    throw new Error(
      `Docker cannot be asked: ${asked.stderr.trim().split("\n").at(-1) || `no answer within ${ASK_SECONDS - 2} s`}`,
    );
  return readContainers(asked.stdout);
}

/** @param container its name */
async function proxyOn(
  host: StackHost,
  container: string,
  containers: readonly ContainerSeen[],
  proxy: ProxyAdapter,
): Promise<ProxySeen> {
  const found = containers.find(({ name }) => name === container);
  const none = { container, silent: null, services: new Map<string, string>() };
  if (found === undefined) return { ...none, running: null };
  if (found.state !== "running") return { ...none, running: false };
  try {
    return { ...none, running: true, services: await serviceStates(host, container, proxy) };
  } catch (error) {
    return { ...none, running: true, silent: (error as Error).message };
  }
}

/** State by service, as the proxy in that container says. @throws Error with its words */
export async function serviceStates(
  host: StackHost,
  container: string,
  proxy: ProxyAdapter,
): Promise<ReadonlyMap<string, string>> {
  return proxy.states(await inContainer(host, container, proxy.list, ASK_SECONDS));
}

/** Runs a command line in a container. @throws Error with its words, or when the time is over */
export async function inContainer(
  host: StackHost,
  container: string,
  command: readonly string[],
  seconds: number,
): Promise<string> {
  const script = 'limit=$1; shift; exec timeout "$limit" docker exec "$@"';
  const ran = await host.run(script, [String(seconds), container, ...command], { seconds: seconds + 2 });
  if (ran.exitCode === 0) return ran.stdout;
  const said = ran.stderr.trim().split("\n").at(-1) ?? "";
  throw new Error(ran.exitCode === 124 ? `no answer within ${seconds} s` : said || `status ${ran.exitCode}`);
}
