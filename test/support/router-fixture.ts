import { afterEach } from "vitest";
import { FakeDns } from "./fake-dns.ts";
import { FakeRouter, type RouterOptions } from "./fake-router.ts";
import { FakeSite, type Health } from "./fake-site.ts";
import { haproxy } from "./haproxy.ts";
import { until } from "./until.ts";

const opened: { close(): unknown }[] = [];

/** Ends everything that a test opened, newest first. To be called once by a test file. */
export function closeAfterEach(): void {
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });
}

function kept<Thing extends { close(): unknown }>(thing: Thing): Thing {
  opened.push(thing);
  return thing;
}

export const dallas = async (health: Health): Promise<FakeSite> =>
  kept(await FakeSite.open("dal", "127.0.0.2", health));

export const chicago = async (health: Health): Promise<FakeSite> =>
  kept(await FakeSite.open("chi", "127.0.0.3", health));

export const site = async (name: string, address: string, health: Health): Promise<FakeSite> =>
  kept(await FakeSite.open(name, address, health));

export const dns = async (records: Readonly<Record<string, string>> = {}): Promise<FakeDns> =>
  kept(await FakeDns.open(records));

/** Dallas on the router's own host, by a name that resolves at once, as a running container's does. */
export async function localDallas(health: Health) {
  const dal = await site("dal", "127.0.0.1", health);
  const names = await dns({ localhost: "127.0.0.1" });
  return { dal, dns: names, local: { site: dal, pooler: "localhost", health: "localhost" } };
}

/** A router that is not started yet. */
export const router = async (options: RouterOptions): Promise<FakeRouter> =>
  kept(await FakeRouter.create(haproxy!, options));

/** Waits until a new connection meets this site. */
export async function meets(vip: FakeRouter, name: string): Promise<void> {
  await until(
    async () => (await vip.meets()) === name,
    () => `no connection meets ${name}:\n${vip.log}`,
  );
}

/** Waits until HAProxy says this of a server. */
export async function status(vip: FakeRouter, server: string, wanted: string): Promise<void> {
  await until(
    async () => (await vip.statuses())[server] === wanted,
    () => `${server} is not ${wanted}:\n${vip.log}`,
  );
}
