import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeThrough } from "../../../components/pg-health/sidecar/write-through.ts";

const LIMIT_MS = 300;
const POOLER = {
  host: "127.0.0.1",
  port: 1,
  user: "pg_health",
  database: "heatwave_health",
  adminDatabase: "pgbouncer",
};

/** One message of PostgreSQL's protocol. */
function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
const int = (value: number, bytes: 2 | 4): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
};
const READY = message("Z", Buffer.from("I"));
const WELCOME = Buffer.concat([message("R", int(0, 4)), READY]);

/** A row of texts. */
function row(fields: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(fields).map((name) =>
    // Table, column, type (text), size, modifier, format.
    Buffer.concat([
      Buffer.from(`${name}\0`),
      int(0, 4),
      int(0, 2),
      int(25, 4),
      int(-1, 2),
      int(-1, 4),
      int(0, 2),
    ]),
  );
  const values = Object.values(fields).map((text) =>
    Buffer.concat([int(Buffer.byteLength(text), 4), Buffer.from(text)]),
  );
  return Buffer.concat([
    message("T", Buffer.concat([int(names.length, 2), ...names])),
    message("D", Buffer.concat([int(values.length, 2), ...values])),
    message("C", Buffer.from("SELECT 1\0")),
    READY,
  ]);
}

function error(sqlState: string, text: string): Buffer {
  return message("E", Buffer.from(`SERROR\0VERROR\0C${sqlState}\0M${text}\0\0`));
}

describe("a write as an application makes it", () => {
  let server: Server;
  let sockets: Socket[];
  let port: number;
  /** What each client sent after its login. */
  let sent: string[];
  let answer: (socket: Socket) => void;

  beforeEach(async () => {
    [sockets, sent] = [[], []];
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      socket.once("data", () => {
        socket.write(WELCOME);
        socket.on("data", (text: Buffer) => {
          sent.push(text.toString());
          if (text.toString().startsWith("Q")) answer(socket);
        });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const write = (more: Readonly<Record<string, unknown>> = {}) =>
    writeThrough({ host: "127.0.0.1", port, limitMs: LIMIT_MS, ...more }, POOLER, () => "password");

  it("is one statement that writes WAL, and says which instance took it", async () => {
    answer = (socket) => socket.write(row({ instance: "chi-02", lsn: "0/5000060" }));
    expect(await write()).toEqual({
      ok: true,
      message: "chi-02 wrote",
      value: { instance: "chi-02", lsn: "0/5000060" },
    });
    expect(sent.filter((text) => text.startsWith("Q"))).toEqual([
      expect.stringContaining("pg_logical_emit_message(true, 'heatwave',"),
    ]);
  });

  it("fails at an instance in recovery, with its words", async () => {
    answer = (socket) => socket.write(Buffer.concat([error("25006", "recovery is in progress"), READY]));
    expect(await write()).toEqual({ ok: false, kind: "failed", message: "recovery is in progress" });
  });

  it("gives a way that swallows everything its limit, and cuts the connection", async () => {
    answer = () => undefined;
    const before = performance.now();
    const end = await write();
    expect(end).toMatchObject({ ok: false, kind: "failed" });
    expect(end.message).toContain(`127.0.0.1:${port}`);
    expect(performance.now() - before).toBeLessThan(LIMIT_MS * 4);
    const [socket] = sockets;
    if (socket?.closed === false) await once(socket, "close");
  });

  it("fails where nobody listens", async () => {
    server.close();
    await once(server, "close");
    expect(await write()).toMatchObject({
      ok: false,
      kind: "failed",
      message: expect.stringContaining("ECONNREFUSED") as string,
    });
  });

  it.each([
    [{ host: 1 }, /host: text/],
    [{ port: "6433" }, /port, limitMs: numbers/],
    [{ limitMs: 0 }, /above 0 and up to 30000/],
    [{ limitMs: 30_001 }, /above 0 and up to 30000/],
  ])("refuses %j before it connects", async (wrong, says) => {
    expect(await write(wrong)).toMatchObject({
      ok: false,
      kind: "refused",
      message: expect.stringMatching(says) as string,
    });
    expect(sockets).toEqual([]);
  });

  it("is refused where no pooler is known", async () => {
    const end = await writeThrough({ host: "127.0.0.1", port, limitMs: LIMIT_MS }, undefined, () => "");
    expect(end).toMatchObject({ ok: false, kind: "refused" });
  });
});
