import { connect } from "node:net";
import type { Rehearsal } from "./rehearsal.ts";

/** Every port there is. */
export const ALL_PORTS = { from: 1, to: 65_535 } as const;

const SCAN = `
const { connect } = await import("node:net");
const [address, from, to, localAddress] = process.argv.slice(2);
const open = [];
let next = Number(from);
const one = (port) => new Promise((done) => {
  const socket = connect({ host: address, port, timeout: 3000, ...(localAddress && { localAddress }) });
  const end = (yes) => { socket.destroy(); if (yes) open.push(port); done(); };
  socket.once("connect", () => end(true)).once("timeout", () => end(false)).once("error", () => end(false));
});
await Promise.all(Array.from({ length: 500 }, async () => { while (next <= Number(to)) await one(next++); }));
console.log(JSON.stringify(open.sort((a, b) => a - b)));
`;

/** TCP ports of an address that accept a connection from the controller. @param source one of its addresses */
export async function openPorts(
  world: Rehearsal,
  address: string,
  range: { readonly from: number; readonly to: number } = ALL_PORTS,
  source = "",
): Promise<number[]> {
  const line = `exec node_modules/node-linux-*/bin/node --input-type=module - ${address} ${range.from} ${range.to} ${source}`;
  return JSON.parse(await world.controller(line, SCAN)) as number[];
}

/** Of these ports those that accept a connection from the machine that the tests run on. */
export async function openFromHere(address: string, ports: readonly number[]): Promise<number[]> {
  const answers = await Promise.all(ports.map((port) => accepts(address, port)));
  return ports.filter((_, i) => answers[i] === true);
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 2000 });
    const end = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}
