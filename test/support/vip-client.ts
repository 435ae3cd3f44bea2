import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A client of the VIP. */
export class VipClient {
  /** Site whose pooler answered; undefined where HAProxy let nobody through. */
  readonly site: string | undefined;
  /** Settles when the connection ends. */
  readonly closed: Promise<unknown>;
  private readonly socket: Socket;

  private constructor(socket: Socket, site: string | undefined) {
    this.socket = socket;
    this.site = site;
    this.closed = socket.closed ? Promise.resolve() : once(socket, "close");
  }

  static async open(port: number): Promise<VipClient> {
    const socket = connect(port, "127.0.0.1");
    const site = await new Promise<string | undefined>((resolve) => {
      socket.on("error", () => {
        resolve(undefined);
      });
      socket.once("close", () => {
        resolve(undefined);
      });
      socket.once("data", (text: Buffer) => {
        resolve(text.toString().trim());
      });
    });
    return new VipClient(socket, site);
  }

  get ended(): boolean {
    return this.socket.closed;
  }

  close(): void {
    this.socket.destroy();
  }
}
