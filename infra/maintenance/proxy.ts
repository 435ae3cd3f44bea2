/**
 * How an app's proxy is told to answer 503, and to serve again. Command lines for the inside of its container, and what
 * they print; pure. Another proxy is another one of these.
 */
export interface ProxyAdapter {
  /** Prints the services and the state of each. */
  readonly list: readonly string[];
  /** @throws Error when the text is none that `list` prints */
  states(printed: string): ReadonlyMap<string, string>;
  /** True where the service answers 503 to everybody. */
  isStopped(state: string | undefined): boolean;
  /** Answers 503 from now on, and returns when requests that are under way have ended or their time is over. */
  stop(
    service: string,
    options: { readonly message: string; readonly drainSeconds: number },
  ): readonly string[];
  resume(service: string): readonly string[];
}

const STYLE = /\u001b\[[0-9;]*m/g;

/**
 * kamal-proxy, by its documented commands (`stop`, `resume`, `list`; what `kamal app maintenance` and `kamal app live`
 * use). It keeps what it was told over a restart of its own.
 */
export const kamalProxy: ProxyAdapter = {
  list: ["kamal-proxy", "list"],
  states(printed) {
    const [head = "", ...rows] = printed
      .replaceAll(STYLE, "")
      .split("\n")
      .filter((line) => line.trim() !== "");
    // Columns differ between versions; each cell begins where its title does.
    const column = head.indexOf("State");
    if (!head.startsWith("Service") || column < 0)
      throw new Error(
        `kamal-proxy list printed ${JSON.stringify(head.slice(0, 80))}, not its table of services`,
      );
    return new Map(rows.map((row) => [wordAt(row, 0), wordAt(row, column)]));
  },
  isStopped: (state) => state === "stopped",
  stop: (service, { message, drainSeconds }) => [
    "kamal-proxy",
    "stop",
    service,
    `--drain-timeout=${drainSeconds}s`,
    `--message=${message}`,
  ],
  resume: (service) => ["kamal-proxy", "resume", service],
};

function wordAt(row: string, column: number): string {
  return row.slice(column).split(/\s/, 1)[0] ?? "";
}
