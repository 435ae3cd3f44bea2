import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkConfig } from "../../../components/pg-health/sidecar/config.ts";
import { PostgresSource } from "../../../components/pg-health/sidecar/sql.ts";

const LIMIT_MS = 200;

let directory: string;
let server: Server | undefined;
let sockets: Socket[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pg-"));
  mkdirSync(`${directory}/sql`);
  sockets = [];
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

function source(): PostgresSource {
  const address = { host: "127.0.0.1", port: 1 };
  const settings = checkConfig({
    site: "dal-01",
    sites: [{ name: "dal-01", health: address, postgres: address }],
    postgres: { runDirectory: directory },
  });
  return new PostgresSource(settings.postgres, "password", LIMIT_MS);
}

/** A server on PostgreSQL's socket that answers each start-up packet in the given way. */
async function fake(onConnect: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => onConnect(socket));
  });
  server.listen(`${directory}/sql/.s.PGSQL.5432`);
  await once(server, "listening");
}

/** PostgreSQL's ErrorResponse. */
function fatal(sqlState: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

describe("PostgresSource", () => {
  it("says at once that nothing listens", async () => {
    const answer = await source().probe();
    expect(answer).toMatchObject({ ok: false, reason: "unreachable" });
    expect(answer.ms).toBeLessThan(LIMIT_MS);
  });

  it("gives a frozen server its limit, then cuts the connection and makes another", async () => {
    await fake(() => undefined);
    const probe = source();
    for (let round = 1; round <= 3; round++) {
      const answer = await probe.probe();
      expect(answer).toMatchObject({ ok: false, reason: "unreachable" });
      expect(answer.ms).toBeGreaterThanOrEqual(LIMIT_MS * 0.9);
      expect(answer.ms).toBeLessThan(LIMIT_MS * 3);
      expect(sockets).toHaveLength(round);
      const last = sockets.at(-1);
      if (last?.closed === false) await once(last, "close");
    }
  });

  it.each([
    ["57P03", "the database system is starting up", "starting"],
    ["28P01", "password authentication failed", "login"],
    ["28000", 'role "heatwave_health" does not exist', "login"],
    ["53300", "sorry, too many clients already", "unreachable"],
  ])("tells %s apart", async (sqlState, message, reason) => {
    await fake((socket) => socket.end(fatal(sqlState, message)));
    expect(await source().probe()).toMatchObject({ ok: false, reason, message });
  });
});
