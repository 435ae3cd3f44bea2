import { once } from "node:events";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** What a site's health endpoint says; `silent` accepts and never answers. */
export type Health = "primary" | "standby" | "silent";

/** Patroni's answers, which pg-health gives too. */
const YES: Readonly<Record<Exclude<Health, "silent">, readonly string[]>> = {
  primary: ["/", "/primary", "/read-write", "/read-only"],
  standby: ["/replica", "/read-only"],
};

/** A site on loopback: a health endpoint, and a pooler that says the site's name to whoever connects. */
export class FakeSite {
  health: Health;
  /** Requests that the health endpoint got, as `METHOD path`. */
  readonly asked: string[] = [];
  readonly sessions = new Set<Socket>();
  private readonly endpoint: HttpServer;
  private readonly pooler: Server;
  readonly name: string;
  readonly address: string;

  private constructor(name: string, address: string, health: Health) {
    this.name = name;
    this.address = address;
    this.health = health;
    this.endpoint = createHttpServer((request, response) => {
      const path = (request.url ?? "").replace(/\?.*/, "");
      this.asked.push(`${request.method ?? ""} ${path}`);
      if (this.health === "silent") return;
      response
        .writeHead(YES[this.health].includes(path) ? 200 : 503)
        .end(request.method === "GET" ? this.health : undefined);
    });
    this.pooler = createServer((socket) => {
      this.sessions.add(socket);
      socket.on("close", () => this.sessions.delete(socket)).on("error", () => socket.destroy());
      socket.write(`${name}\n`);
    });
  }

  static async open(name: string, address: string, health: Health): Promise<FakeSite> {
    const site = new FakeSite(name, address, health);
    site.endpoint.listen(0, address);
    site.pooler.listen(0, address);
    await Promise.all([once(site.endpoint, "listening"), once(site.pooler, "listening")]);
    return site;
  }

  get poolerPort(): number {
    return (this.pooler.address() as AddressInfo).port;
  }

  get healthPort(): number {
    return (this.endpoint.address() as AddressInfo).port;
  }

  close(): void {
    this.endpoint.close();
    this.endpoint.closeAllConnections();
    this.pooler.close();
    for (const socket of this.sessions) socket.destroy();
  }
}
