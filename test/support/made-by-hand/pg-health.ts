import { createServer } from "node:http";
import pg from "pg";

/** The seed's sidecar: asks the PostgreSQL beside it whether it is in recovery, and says so on port 8008. */

async function recovering(): Promise<boolean> {
  const client = new pg.Client({ user: "healthcheck", database: "postgres", connectionTimeoutMillis: 1500 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ standby: boolean }>("select pg_is_in_recovery() as standby");
    return rows[0]?.standby !== false;
  } finally {
    await client.end();
  }
}

createServer((_request, response) => {
  recovering().then(
    (standby) => response.writeHead(standby ? 503 : 200).end(standby ? "standby\n" : "primary\n"),
    () => response.writeHead(503).end("down\n"),
  );
}).listen(8008);
