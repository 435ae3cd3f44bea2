/** The health endpoint's HTTP server: answers in bounded time, whatever PostgreSQL or a client does. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { View } from "./brain.ts";
import { siteWord } from "./brain.ts";
import type { Metrics } from "./metrics.ts";
import { isNonce } from "./peer.ts";
import type { PoolerReport } from "./pooler.ts";
import { answerProbe, isProbePath, roleWord } from "./routes.ts";
import type { SingleFlight } from "./single-flight.ts";
import type { SqlAnswer } from "./sql.ts";
import { statusDocument } from "./status.ts";

export interface HttpParts {
  readonly site: string;
  readonly readinessLag: number;
  readonly sql: SingleFlight<SqlAnswer>;
  readonly view: () => View | undefined;
  /** Milliseconds since the brain's last look. */
  readonly age: () => number;
  readonly failures: () => number;
  readonly pooler: () => PoolerReport | undefined;
  /** The signed answer to a peer. */
  readonly peer: (nonce: string) => Promise<unknown>;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** A brain that has not looked for so long is stuck, milliseconds. */
const STUCK_AFTER_MS = 30_000;
/** A look that is older says nothing about who is the primary, milliseconds: the process or its host was frozen. */
const OLD_AFTER_MS = 10_000;
const METHODS = "GET, HEAD, OPTIONS";
const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = (status: number, body: string): Answer => ({ status, type: TEXT, body });
const json = (status: number, value: unknown): Answer => ({
  status,
  type: JSON_TYPE,
  body: `${JSON.stringify(value)}\n`,
});

/** Answers one request. Pure but for the parts' own I/O. */
export async function answer(parts: HttpParts, path: string, query: URLSearchParams): Promise<Answer> {
  const word = siteWord(parts.view());
  if (isProbePath(path)) {
    const sql = await parts.sql.get();
    // The site's word again: it may have changed while PostgreSQL was asked.
    const view = {
      sql,
      word: siteWord(parts.view()),
      veto: vetoOf(parts),
      readinessLag: parts.readinessLag,
    };
    const reply = answerProbe(path, query, view);
    return text(reply.status, reply.body);
  }
  switch (path) {
    case "/liveness":
      return parts.age() < STUCK_AFTER_MS ? text(200, "alive") : text(503, "stuck");
    case "/peer": {
      const nonce = query.get("nonce") ?? "";
      if (!isNonce(nonce)) return text(400, "nonce: 16 to 64 hexadecimal digits");
      return json(200, await parts.peer(nonce));
    }
    case "/status":
    case "/patroni": {
      const sql = await parts.sql.get();
      return json(
        200,
        statusDocument({
          site: parts.site,
          sql,
          word,
          veto: vetoOf(parts),
          view: parts.view(),
          pooler: parts.pooler(),
        }),
      );
    }
    case "/metrics": {
      const sql = await parts.sql.get();
      const body = await parts.metrics.render({
        site: parts.site,
        word: roleWord({ sql, word, veto: vetoOf(parts) }),
        sql,
        view: parts.view(),
        pooler: parts.pooler(),
        failures: parts.failures(),
      });
      return { status: 200, type: parts.metrics.contentType, body };
    }
    default:
      return text(404, "unknown path");
  }
}

/** Why an instance that answers must get no writes: the brain's word, or that it has not looked. */
function vetoOf({ view, age }: HttpParts): string | undefined {
  const seen = view();
  if (seen === undefined || age() > OLD_AFTER_MS) return "waiting";
  return seen.veto?.word;
}

function knownPath(path: string): string {
  return isProbePath(path) || ["/liveness", "/peer", "/status", "/patroni", "/metrics"].includes(path)
    ? path
    : "other";
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  const bodiless = request.method !== "GET";
  response.writeHead(status, {
    "content-type": type,
    "content-length": bodiless ? 0 : Buffer.byteLength(body),
    "cache-control": "no-store",
    ...(request.method === "OPTIONS" || status === 405 ? { allow: METHODS } : {}),
  });
  response.end(bodiless ? undefined : body);
}

/** The server, not listening yet. */
export function createHealthServer(parts: HttpParts): Server {
  const server = createServer((request, response) => {
    // A probe brings no body; one that does is not waited for.
    request.resume();
    let url: URL;
    try {
      url = new URL(request.url ?? "/", "http://pg-health");
    } catch {
      send(request, response, text(400, "bad path"));
      return;
    }
    const finish = (result: Answer): void => {
      parts.metrics.answered(knownPath(url.pathname), result.status);
      if (!response.destroyed) send(request, response, result);
    };
    if (!["GET", "HEAD", "OPTIONS"].includes(request.method ?? "")) {
      finish(text(405, `use ${METHODS}`));
      return;
    }
    answer(parts, url.pathname, url.searchParams).then(finish, (error: unknown) => {
      parts.log.error({ err: error, path: url.pathname }, "a request failed");
      finish(text(503, "error"));
    });
  });
  // A slow or silent client holds a socket, never the server: heads within 5 s, idle connections for 15 s.
  server.headersTimeout = 5000;
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 15_000;
  server.maxConnections = 2000;
  server.on("clientError", (_error, socket) => socket.destroy());
  return server;
}
