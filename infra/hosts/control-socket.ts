import { request } from "node:http";

/** The last line of an answer of pg-health's control socket. */
export interface ControlEnd {
  readonly ok: boolean;
  /** A short word for a failure: `refused`, `failed`, `silent`, `unknown`. */
  readonly kind?: string;
  readonly message: string;
  readonly value?: unknown;
}

type ControlLine = { readonly line: string } | { readonly end: ControlEnd };

/** Nobody answers on a control socket, or the answer broke off: whether the work was done is not known. */
export class ControlSilent extends Error {
  override readonly name = "ControlSilent";
}

export interface ControlRequest {
  /** Path of the socket on this machine. */
  readonly socket: string;
  readonly route: `${"GET" | "POST"} /${string}`;
  readonly body?: unknown;
  /** For the whole answer, milliseconds. */
  readonly limitMs: number;
  /** Called with each line of progress. */
  readonly onLine?: (line: string) => void;
}

/**
 * Asks a site's pg-health over its control socket (lines of JSON, the last one is the end).
 * @throws {ControlSilent} when nobody answers within the limit
 */
export function askControl({ socket, route, body, limitMs, onLine }: ControlRequest): Promise<ControlEnd> {
  const [method, path] = route.split(" ") as [string, string];
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const late = error.name === "TimeoutError" || error.name === "AbortError";
      reject(new ControlSilent(late ? `no answer within ${limitMs / 1000} s` : explain(error)));
    };
    const asked = request(
      { socketPath: socket, method, path, agent: false, signal: AbortSignal.timeout(limitMs) },
      (response) => {
        let rest = "";
        let end: ControlEnd | undefined;
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          try {
            for (const line of lines.map((one) => JSON.parse(one) as ControlLine)) {
              if ("end" in line) end = line.end;
              else onLine?.(line.line);
            }
          } catch {
            asked.destroy(new Error("its answer is no pg-health's"));
          }
        });
        response.on("end", () => {
          if (end === undefined) fail(new Error("its answer broke off"));
          else resolve(end);
        });
        response.on("error", fail);
      },
    );
    asked.on("error", fail);
    asked.end(method === "POST" ? JSON.stringify(body ?? {}) : undefined);
  });
}

/** ssh accepts a forwarded connection before it knows whether the host's end can be opened. */
function explain(error: Error): string {
  return /socket hang up|ECONNRESET|EPIPE/.test(error.message)
    ? "nobody listens on its control socket, or the SSH user may not open it"
    : error.message;
}
