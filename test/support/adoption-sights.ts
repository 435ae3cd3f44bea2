import { expect, vi } from "vitest";
import type { Site } from "../../infra/topology/model.ts";
import type { LiveWorld } from "./live-world.ts";
import type { MadeByHand } from "./made-by-hand.ts";
import type { Rehearsal } from "./rehearsal.ts";

/** What is looked at on the hosts while a stack that was made by hand is adopted and converted. */
export class AdoptionSights {
  readonly #world: Rehearsal;
  readonly #live: LiveWorld;
  readonly #hands: MadeByHand;

  constructor(world: Rehearsal, live: LiveWorld, hands: MadeByHand) {
    this.#world = world;
    this.#live = live;
    this.#hands = hands;
  }

  /** Each container's id and start, and when each PostgreSQL itself began. */
  async running(): Promise<Record<string, string>> {
    const seen: Record<string, string> = {};
    for (const { name } of this.#live.topology.hosts) {
      const format = "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}";
      const lines = await this.#world.host(name, `docker ps -aq | xargs docker inspect --format '${format}'`);
      for (const line of lines.split("\n").filter((one) => one !== "" && !one.includes("writer"))) {
        const [container = "", ...facts] = line.split(" ");
        seen[`${name}${container}`] = facts.join(" ");
      }
    }
    for (const site of this.#live.topology.sites)
      seen[`${site.name} postmaster`] = await this.#hands.sql(site, "select pg_postmaster_start_time()");
    return seen;
  }

  /** Waits until one site streams from another as heatwave's standby. */
  streams(site: string, at: string): Promise<void> {
    return vi.waitFor(
      async () =>
        expect(
          await this.#hands.sql(
            this.#live.topology.sites.find(({ name }) => name === at)!,
            `select usename || ' ' || state from pg_stat_replication where application_name = '${site}'`,
          ),
        ).toBe("heatwave_replication streaming"),
      { timeout: 30_000, interval: 1000 },
    );
  }

  /** What happened to containers of a host, milliseconds after a moment: where the time of a conversion goes. */
  async eventsSince(host: string, since: string): Promise<string> {
    const events = await this.#world.host(
      host,
      `docker events --since ${since} --until $(date +%s.%N) --filter type=container --format '{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}}'`,
    );
    return events
      .split("\n")
      .filter((line) => /^\d+ (create|start|die|destroy) /.test(line))
      .map((line) => {
        const [at = "0", ...words] = line.split(" ");
        return `${Math.round(Number(at) / 1e6 - Number(since) * 1000)} ms ${words.join(" ")}`;
      })
      .join("\n");
  }

  /** An `up` whose conversion is killed between the stop of PostgreSQL and the grant: nobody starts it then. */
  async killedAfterTheStop({ name, host, postgres, pgHealth }: Site): Promise<void> {
    const state = `${pgHealth.directory}/state`;
    const killed = this.#world.host(
      host.name,
      `docker wait ${postgres.container} && pkill -9 -f '[f]ound convert ${name} '`,
    );
    const failed = await this.#world.engine("up", "--yes");
    expect(failed.code, failed.stdout + failed.stderr).toBe(1);
    await killed;
    const left = await this.#world.host(host.name, `cd ${state} && ls && cat converting`);
    expect(left).toMatch(/^converting$[^]*standby dal-01/m);
    expect(left).not.toMatch(/^grant\.json$/m);
  }

  /** Whether the PostgreSQL that was found runs and what Docker does with it at a restart; then what is noted of it. */
  async found({ host, postgres, pgHealth }: Site): Promise<string[]> {
    const format = "{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}";
    const look = `docker inspect --format '${format}' ${postgres.container}; ls ${pgHealth.directory}/state 2>/dev/null || true`;
    return (await this.#world.host(host.name, look)).trim().split("\n");
  }
}
