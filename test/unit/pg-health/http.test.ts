import { once } from "node:events";
import { request } from "node:http";
import type { IncomingHttpHeaders, Server } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import type { View } from "../../../components/pg-health/sidecar/brain.ts";
import { createHealthServer } from "../../../components/pg-health/sidecar/http.ts";
import { Metrics } from "../../../components/pg-health/sidecar/metrics.ts";
import { SingleFlight } from "../../../components/pg-health/sidecar/single-flight.ts";
import type { SqlAnswer } from "../../../components/pg-health/sidecar/sql.ts";
import { cluster, entrypoint, grant, sqlFacts, sqlFails, standbyFacts } from "./facts.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

const HELD: View = {
  at: 0,
  decision: { do: "wait", word: "held", why: "there is no grant" },
  facts: {
    entrypoint: entrypoint("waiting"),
    data: cluster(),
    grant: grant({ epoch: 4 }),
    intent: { run: true },
    heldback: undefined,
    follow: undefined,
  },
  veto: undefined,
  peers: [],
  certainAt: undefined,
};

async function serve(
  probe: () => Promise<SqlAnswer>,
  options: { freshMs?: number; age?: number; view?: View } = {},
): Promise<number> {
  server = createHealthServer({
    site: "dal-01",
    readinessLag: 1_048_576,
    sql: new SingleFlight(probe, options.freshMs ?? 0),
    view: () => options.view ?? HELD,
    age: () => options.age ?? 0,
    failures: () => 2,
    pooler: () => ({
      admin: true,
      login: false,
      loginSeconds: 2,
      adminMessage: undefined,
      loginMessage: "PgBouncer: no answer within 2000 ms",
      pools: [
        {
          database: "app",
          user: "app",
          clientsActive: 20,
          clientsWaiting: 7,
          serversActive: 20,
          serversIdle: 0,
          longestWait: 3.5,
        },
      ],
      databases: [{ database: "app", paused: true, disabled: false, connections: 20, maxConnections: 0 }],
    }),
    peer: (nonce) => Promise.resolve({ peer: { nonce }, mac: "00" }),
    metrics: new Metrics(),
    log: pino({ level: "silent" }),
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

function ask(port: number, path: string, method = "GET"): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
      );
    });
    asked.on("error", reject);
    asked.end();
  });
}

const primary = (): Promise<SqlAnswer> => Promise.resolve(sqlFacts());

describe("the health endpoint", () => {
  it("answers the routers' words exactly", async () => {
    const port = await serve(primary);
    expect(await ask(port, "/")).toMatchObject({ status: 200, body: "primary" });
    server?.close();
    const other = await serve(() => Promise.resolve(standbyFacts()));
    expect(await ask(other, "/")).toMatchObject({ status: 503, body: "standby" });
  });

  it("names the site's state while PostgreSQL does not answer", async () => {
    const port = await serve(() => Promise.resolve(sqlFails("unreachable")));
    expect(await ask(port, "/")).toMatchObject({ status: 503, body: "held" });
  });

  it("answers HEAD and OPTIONS with the same status and no body", async () => {
    const port = await serve(primary);
    for (const method of ["HEAD", "OPTIONS"]) {
      const reply = await ask(port, "/primary", method);
      expect(reply).toMatchObject({ status: 200, body: "" });
      expect((await ask(port, "/replica", method)).status).toBe(503);
    }
    expect((await ask(port, "/", "OPTIONS")).headers.allow).toBe("GET, HEAD, OPTIONS");
    expect(await ask(port, "/", "POST")).toMatchObject({ status: 405 });
  });

  it("asks PostgreSQL once for 200 probes at once", async () => {
    let queries = 0;
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const port = await serve(
      async () => {
        queries += 1;
        await gate;
        return sqlFacts();
      },
      { freshMs: 100 },
    );
    let arrived = 0;
    server?.on("request", () => {
      if (++arrived === 200) release();
    });
    const replies = await Promise.all(Array.from({ length: 200 }, () => ask(port, "/")));
    expect(replies.every((reply) => reply.status === 200 && reply.body === "primary")).toBe(true);
    expect(queries).toBe(1);
  });

  it("says 503 when its own code fails, and goes on", async () => {
    let broken = true;
    const port = await serve(() => {
      if (broken) return Promise.reject(new Error("bug"));
      return primary();
    });
    expect(await ask(port, "/")).toMatchObject({ status: 503, body: "error" });
    broken = false;
    expect(await ask(port, "/")).toMatchObject({ status: 200 });
  });

  it("serves others while a client is slow or talks nonsense", async () => {
    const port = await serve(primary);
    const slow = connect(port, "127.0.0.1");
    await once(slow, "connect");
    slow.write("GET / HTT");
    const nonsense = connect(port, "127.0.0.1");
    nonsense.write("\x16\x03\x01\x00 this is no HTTP\r\n\r\n");
    await once(nonsense, "close");
    expect(await ask(port, "/")).toMatchObject({ status: 200 });
    slow.destroy();
    expect(server?.headersTimeout).toBeLessThanOrEqual(5000);
  });

  it("tells a stuck brain from a PostgreSQL that is down", async () => {
    const down = await serve(() => Promise.resolve(sqlFails("unreachable")));
    expect(await ask(down, "/liveness")).toMatchObject({ status: 200, body: "alive" });
    server?.close();
    const stuck = await serve(primary, { age: 31_000 });
    expect(await ask(stuck, "/liveness")).toMatchObject({ status: 503, body: "stuck" });
  });

  it("answers peers only with a nonce", async () => {
    const port = await serve(primary);
    expect(await ask(port, "/peer?nonce=0123456789abcdef")).toMatchObject({
      status: 200,
      body: '{"peer":{"nonce":"0123456789abcdef"},"mac":"00"}\n',
    });
    expect((await ask(port, "/peer")).status).toBe(400);
  });

  it("gives Patroni's document", async () => {
    const port = await serve(() => Promise.resolve(standbyFacts({ replayedLsn: "1/0" })));
    for (const path of ["/patroni", "/status"]) {
      const document = JSON.parse((await ask(port, path)).body) as Record<string, unknown>;
      expect(document).toMatchObject({
        state: "running",
        role: "replica",
        server_version: 180_006,
        timeline: 1,
        xlog: { replayed_location: 2 ** 32, paused: false },
        heatwave: { site: "dal-01", word: "standby", grant: { kind: "grant", grant: { epoch: 4 } } },
      });
    }
  });

  it("exposes metrics, and leaves out what it does not know", async () => {
    const port = await serve(() => Promise.resolve(standbyFacts({ replayLagBytes: 512 })));
    const { body, headers } = await ask(port, "/metrics");
    expect(headers["content-type"]).toContain("text/plain");
    for (const line of [
      "heatwave_primary 0",
      "heatwave_in_recovery 1",
      "heatwave_replay_lag_bytes 512",
      "heatwave_grant_epoch 4",
      'heatwave_grant_state{state="held"} 1',
      'heatwave_grant_state{state="none"} 0',
      "heatwave_unordered_ends 2",
      "heatwave_pooler_admin_up 1",
      "heatwave_pooler_login_up 0",
      'heatwave_pooler_clients_waiting{database="app",user="app"} 7',
      'heatwave_pooler_paused{database="app"} 1',
      'heatwave_site_info{site="dal-01",word="standby"} 1',
    ])
      expect(body.split("\n")).toContain(line);
    server?.close();
    const down = await serve(() => Promise.resolve(sqlFails("unreachable")));
    const idle = (await ask(down, "/metrics")).body;
    expect(idle).toContain("heatwave_postgres_up 0");
    expect(idle).not.toContain("heatwave_replay_lag_bytes");
  });

  it("keeps a full or paused pool out of the write path", async () => {
    // The report of every server here has both.
    const port = await serve(primary);
    expect(await ask(port, "/")).toMatchObject({ status: 200, body: "primary" });
    expect(await ask(port, "/readiness")).toMatchObject({ status: 200 });
  });

  it("does not know other paths", async () => {
    const port = await serve(primary);
    expect((await ask(port, "/switchover")).status).toBe(404);
    expect((await ask(port, "//")).status).toBe(400);
  });
});
