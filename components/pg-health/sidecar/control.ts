/** The control socket: what runbooks on the host, and commands in this container, ask the running brain. */
import { chmod, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Logger } from "pino";

/** One request's work: `say` sends a line of progress, the returned value is the last one. */
export type ControlRoute = (body: unknown, say: (line: string) => void) => Promise<ControlEnd>;

/** The last line of an answer. */
export interface ControlEnd {
  readonly ok: boolean;
  /** A short word for a failure: `refused`, `timeout`, `failed`. */
  readonly kind?: string;
  readonly message: string;
  readonly value?: unknown;
}

export type ControlRoutes = Readonly<Record<`${"GET" | "POST"} /${string}`, ControlRoute>>;

/** A line of an answer: progress, or the end. */
export type ControlLine = { readonly line: string } | { readonly end: ControlEnd };

const LARGEST_BODY = 64 * 1024;

/** Whether anything listens on a unix socket. */
function answersOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function readBody(message: IncomingMessage): Promise<unknown> {
  let text = "";
  message.setEncoding("utf8");
  for await (const chunk of message as AsyncIterable<string>) {
    text += chunk;
    if (text.length > LARGEST_BODY) throw new Error("the body is too long");
  }
  return text === "" ? {} : JSON.parse(text);
}

async function serve(
  routes: ControlRoutes,
  message: IncomingMessage,
  response: ServerResponse,
  log: Logger,
): Promise<void> {
  const name = `${message.method ?? ""} ${(message.url ?? "").split("?")[0] ?? ""}`;
  const route = (routes as Readonly<Record<string, ControlRoute | undefined>>)[name];
  const put = (line: ControlLine): void => {
    if (!response.writableEnded && !response.destroyed) response.write(`${JSON.stringify(line)}\n`);
  };
  response.writeHead(route === undefined ? 404 : 200, { "content-type": "application/x-ndjson" });
  let end: ControlEnd;
  if (route === undefined)
    end = { ok: false, kind: "unknown", message: `${name}: known are ${Object.keys(routes).join(", ")}` };
  else
    try {
      end = await route(await readBody(message), (line) => put({ line }));
    } catch (error) {
      log.error({ err: error, route: name }, "a control request failed");
      end = { ok: false, kind: "failed", message: (error as Error).message };
    }
  put({ end });
  response.end();
}

/**
 * Listens on a unix socket that this user may open, and the group of its folder: the SSH user's. A socket file that a killed process left behind is removed.
 * @throws Error when another process answers there.
 */
export async function listenControl(path: string, routes: ControlRoutes, log: Logger): Promise<Server> {
  if (await answersOn(path)) throw new Error(`${path}: another pg-health answers here`);
  await rm(path, { force: true });
  const server = createServer((message, response) => void serve(routes, message, response, log));
  // A founding streams for as long as it takes.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o660);
  return server;
}

/** Nobody listens on the control socket. */
export class ControlUnreachable extends Error {
  override readonly name = "ControlUnreachable";
}

/**
 * Asks the running brain and passes its lines of progress on.
 * @param limitMs Milliseconds for the whole answer.
 * @throws {@link ControlUnreachable} when nobody answers, or the answer breaks off.
 */
export function askControl(
  path: string,
  route: keyof ControlRoutes,
  body: unknown,
  limitMs: number,
  say: (line: string) => void = () => undefined,
): Promise<ControlEnd> {
  const [method, url] = route.split(" ") as [string, string];
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(new ControlUnreachable(`${path}: ${error.message}`));
    const asked = request(
      { socketPath: path, method, path: url, agent: false, signal: AbortSignal.timeout(limitMs) },
      (response) => {
        let rest = "";
        let end: ControlEnd | undefined;
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          const lines = (rest + chunk).split("\n");
          rest = lines.pop() ?? "";
          for (const text of lines) {
            const line = JSON.parse(text) as ControlLine;
            if ("line" in line) say(line.line);
            else end = line.end;
          }
        });
        response.on("end", () => {
          if (end === undefined) fail(new Error("the answer broke off"));
          else resolve(end);
        });
        response.on("error", fail);
      },
    );
    asked.on("error", fail);
    asked.end(method === "POST" ? JSON.stringify(body) : undefined);
  });
}
