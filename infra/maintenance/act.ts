import type { StackHost } from "../hosts/stack-host.ts";
import { inContainer, serviceStates } from "./observe.ts";
import type { ProxyAdapter } from "./proxy.ts";
import type { Action } from "./task.ts";

/** Carries one action out on its host. Each looks at what it did: done means that it is so. */

/** Seconds beyond what an action itself may take. */
const SPARE = 30;
const NOTE_SECONDS = 15;

export interface ActTools {
  readonly host: StackHost;
  readonly proxy: ProxyAdapter;
  /** Of the lock that is held there. */
  readonly token: string;
}

/** @throws Error with the host's words */
export async function act(action: Action, { host, proxy, token }: ActTools): Promise<void> {
  switch (action.do) {
    case "note":
      return note(host, ["maintenance", "note", token], `${JSON.stringify(action.window)}\n`);
    case "forget":
      return note(host, ["maintenance", "forget", token], "");
    case "fail":
      throw new Error(action.why);
    case "proxy-stop": {
      const { container, service, message, drainSeconds } = action;
      await inContainer(
        host,
        container,
        proxy.stop(service, { message, drainSeconds }),
        drainSeconds + SPARE,
      );
      return demandState(host, container, service, proxy, true);
    }
    case "proxy-resume": {
      const { container, service } = action;
      await inContainer(host, container, proxy.resume(service), SPARE);
      return demandState(host, container, service, proxy, false);
    }
    case "stop":
      return run(host, STOP, [String(action.seconds), ...action.containers], action.seconds + SPARE);
    case "start":
      return run(host, START, [String(action.seconds), ...action.containers], action.seconds + SPARE);
  }
}

/** Containers end at the same time, each with a time of its own before it is killed. */
const STOP = 'limit=$1; shift; exec timeout "$((limit + 20))" docker stop -t "$limit" "$@" >/dev/null';

/** A container that ends again at once is none that runs: all are looked at once more after a second. */
const START = `limit=$1
shift
timeout "$limit" docker start "$@" >/dev/null || exit 1
state() {
  timeout 10 docker inspect --type container --format '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.Name}}' "$1"
}
end=$(($(date +%s) + limit))
for id; do
  until now=$(state "$id") && case $now in "running healthy "* | "running none "*) true ;; *) false ;; esac; do
    case $now in exited* | dead*) echo "it ended again: $now" >&2; exit 1 ;; esac
    [ "$(date +%s)" -lt "$end" ] || { echo "not up within $limit s: $now" >&2; exit 1; }
    sleep 0.2
  done
done
sleep 1
for id; do
  case $(state "$id") in running*) ;; *) echo "it ended again: $(state "$id")" >&2; exit 1 ;; esac
done`;

async function run(host: StackHost, script: string, args: readonly string[], seconds: number): Promise<void> {
  const ran = await host.run(script, args, { seconds });
  if (ran.exitCode === 0) return;
  const said = ran.stderr.trim().split("\n").at(-1) ?? "";
  throw new Error(ran.exitCode === 124 ? "Docker did not end it in time" : said || `status ${ran.exitCode}`);
}

async function note(host: StackHost, args: readonly string[], stdin: string): Promise<void> {
  const ran = await host.tool(args, { seconds: NOTE_SECONDS, stdin });
  if (ran.exitCode !== 0) throw new Error(ran.stderr.trim().replace(/^error: /, ""));
}

async function demandState(
  host: StackHost,
  container: string,
  service: string,
  proxy: ProxyAdapter,
  stopped: boolean,
): Promise<void> {
  const state = (await serviceStates(host, container, proxy)).get(service);
  if (proxy.isStopped(state) !== stopped)
    throw new Error(`${container} took the command, and says that ${service} is ${state ?? "unknown"}`);
}
