import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { SshHost } from "./ssh.ts";
import type { DialPolicy } from "./ssh-master.ts";

const DIAL = "docker system dial-stdio";

/**
 * A private unix socket whose every connection is one `docker system dial-stdio` on the host: what the Docker
 * CLI and the real provider do, here over the shared SSH connection.
 */
export class DockerBridge {
  readonly #host: SshHost;
  readonly #dial: DialPolicy;
  #server: Server | undefined;
  #directory: string | undefined;
  #failure: Error | undefined;
  #opening: Promise<string> | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(host: SshHost, dial: DialPolicy) {
    this.#host = host;
    this.#dial = dial;
  }

  /** Why the newest connection could not be made; HTTP itself only sees that it was closed. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The socket's path; logs in to the host first, so that its errors are told as they are. */
  async open(signal?: AbortSignal): Promise<string> {
    await this.#host.connect(signal === undefined ? this.#dial : { ...this.#dial, signal });
    this.#opening ??= this.#listen();
    return this.#opening;
  }

  async #listen(): Promise<string> {
    this.#directory = await mkdtemp(join(tmpdir(), "hw-"));
    const path = join(this.#directory, "d");
    const server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    return path;
  }

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    try {
      const child = await this.#host.stream(DIAL);
      let printed = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        printed = (printed + text).slice(-2000);
      });
      child.stdin.on("error", () => socket.destroy());
      child.once("error", (error) => this.#fail(socket, error));
      child.once("close", (status) => {
        if (status !== 0 && status !== null) {
          this.#failure = new Error(`${DIAL} ended with status ${status}: ${printed.trim()}`);
        }
        socket.destroy();
      });
      socket.once("close", () => {
        child.stdin.end();
        child.kill("SIGTERM");
      });
      socket.pipe(child.stdin);
      child.stdout.pipe(socket);
    } catch (error) {
      this.#fail(socket, error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(socket: Socket, error: Error): void {
    this.#failure = error;
    socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }
}
