import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkConfig } from "../../../components/pg-health/sidecar/config.ts";
import type { Settings } from "../../../components/pg-health/sidecar/config.ts";
import { Site } from "../../../components/pg-health/sidecar/site.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pg-health-"));
  mkdirSync(`${directory}/run`);
  mkdirSync(`${directory}/state`);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function settings(address = "100.123.47.52"): Settings {
  const site = (name: string, host: string) => ({
    name,
    health: { host, port: 8008 },
    postgres: { host, port: 5432 },
  });
  return checkConfig({
    site: "chi-02",
    sites: [site("dal-01", address), site("chi-02", "100.68.157.49")],
    postgres: { runDirectory: `${directory}/run` },
  });
}

const followConf = (): string => readFileSync(`${directory}/run/follow.conf`, "utf8");

describe("Site.follow", () => {
  it("names the followed site, and this one's application and slot", async () => {
    const own = settings();
    await new Site(own, `${directory}/state`).follow("dal-01");
    expect(followConf()).toBe(
      "# Written by pg-health: whom this instance follows while it is a standby.\n" +
        `primary_conninfo = 'host=100.123.47.52 port=5432 user=heatwave_replication passfile=${directory}/run/replication.pgpass ` +
        "application_name=chi-02 connect_timeout=5 keepalives_idle=10 keepalives_interval=5 keepalives_count=3'\n" +
        "primary_slot_name = 'heatwave_chi_02'\n",
    );
  });

  it("writes again only what changed: a lost file, a new address", async () => {
    const site = new Site(settings(), `${directory}/state`);
    expect(await site.refreshFollowConf()).toBe(false);
    await site.follow("dal-01");
    expect(await site.refreshFollowConf()).toBe(false);
    rmSync(`${directory}/run/follow.conf`);
    expect(await site.refreshFollowConf()).toBe(true);
    const moved = new Site(settings("100.99.0.1"), `${directory}/state`);
    expect(await moved.refreshFollowConf()).toBe(true);
    expect(followConf()).toContain("host=100.99.0.1 ");
  });

  it("follows nobody when told so, and says so after a restart too", async () => {
    const site = new Site(settings(), `${directory}/state`);
    await site.follow("dal-01");
    await site.follow(undefined);
    expect(followConf()).toBe("# Written by pg-health: this instance follows nobody.\n");
    expect((await site.read()).follow).toBeUndefined();
    rmSync(`${directory}/run/follow.conf`);
    expect(await site.refreshFollowConf()).toBe(true);
  });
});

describe("Site.read", () => {
  it("keeps an ordered stop, even when its file is damaged", async () => {
    const site = new Site(settings(), `${directory}/state`);
    expect((await site.read()).intent).toEqual({ run: true });
    await site.writeIntent({ run: false });
    expect((await site.read()).intent).toEqual({ run: false });
    rmSync(`${directory}/state/intent.json`);
    mkdirSync(`${directory}/state/intent.json`);
    expect((await site.read()).intent).toEqual({ run: false });
  });
});
