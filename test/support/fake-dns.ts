import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";

/** Docker's embedded DNS, in small: A records by name, NXDOMAIN for the rest. */
export class FakeDns {
  readonly records = new Map<string, string>();
  /** Questions for names that it does not have. */
  refused = 0;
  private readonly socket: UdpSocket = createSocket("udp4");

  static async open(records: Readonly<Record<string, string>> = {}): Promise<FakeDns> {
    const dns = new FakeDns();
    for (const [name, address] of Object.entries(records)) dns.records.set(name, address);
    dns.socket.on("message", (query, from) => dns.socket.send(dns.answer(query), from.port, from.address));
    dns.socket.bind(0, "127.0.0.1");
    await once(dns.socket, "listening");
    return dns;
  }

  get port(): number {
    return this.socket.address().port;
  }

  close(): void {
    this.socket.close();
  }

  private answer(query: Buffer): Buffer {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const question = query.subarray(12, at + 5);
    const address = query.readUInt16BE(at + 1) === 1 ? this.records.get(labels.join(".")) : undefined;
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(address === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(1, 4);
    if (address === undefined) this.refused++;
    if (address === undefined) return Buffer.concat([header, question]);
    header.writeUInt16BE(1, 6);
    const record = Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split(".").map(Number)]);
    return Buffer.concat([header, question, record]);
  }
}
