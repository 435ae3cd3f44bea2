import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { STATE, makeBare } from "../support/bare-world.ts";
import { randomFrom } from "../support/random.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld, topologyOf } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");
const topology = topologyOf("production", root);

const KILLS = process.env["HEATWAVE_ALL"] === "1" ? 50 : 5;
/** Every so many kills hit the making of the whole stack on bare hosts; the others hit its change. */
const FRESH_EVERY = 5;

/** Two stacks that differ in what is reloaded, restarted and replaced, names of containers included. */
const VARIANTS = [
  [],
  [
    "s/statsPort: 8404/statsPort: 8406/",
    "s/fall: 3/fall: 5/",
    "s/max_connections: 200/max_connections: 200\\n      work_mem: 8MB/",
    "s/pgbouncer: heatwave-pgbouncer-replica/pgbouncer: heatwave-pgbouncer-other/",
  ],
] as const;

/** The state as the engine left it: what is wrong with it, and the ids of what it says is on the hosts. */
const INSPECT = `
import { readFileSync, readdirSync } from "node:fs";
import { integrityError } from "/heatwave/infra/engine/integrity.ts";
const { latest } = JSON.parse(readFileSync("${STATE}/stacks/heatwave/production.json", "utf8")).checkpoint;
const ids = (type) => latest.resources.filter((one) => one.type === type).map((one) => one.id).sort();
console.log(JSON.stringify({
  error: integrityError(latest) ?? null,
  pending: latest.pending_operations ?? [],
  waiting: latest.resources.filter((one) => one.delete || one.pendingReplacement).map((one) => one.urn),
  containers: ids("docker:index/container:Container"),
  volumes: ids("docker:index/volume:Volume"),
  stray: readdirSync("${STATE}/stacks/heatwave").filter((name) => name.endsWith(".tmp")),
  locks: readdirSync("${STATE}/locks/organization/heatwave/production"),
}));`;

interface Inspected {
  readonly error: string | null;
  readonly pending: readonly unknown[];
  readonly waiting: readonly string[];
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
  readonly stray: readonly string[];
  readonly locks: readonly string[];
}

async function inspectState(): Promise<Inspected> {
  const line = '. bin/find-node.sh && exec "$NODE" --input-type=module -e "$1"';
  return JSON.parse(await world.run("exec", "--", "sh", "-c", line, "bin/sh", INSPECT)) as Inspected;
}

/** What the hosts have, all of it. */
async function onHosts(list: string): Promise<readonly string[]> {
  const lists = await Promise.all(topology.hosts.map(({ name }) => world.host(name, list)));
  return lists.flatMap((text) => text.split("\n").filter(Boolean)).sort();
}

async function setVariant(variant: number): Promise<void> {
  const edits = (VARIANTS[variant] ?? []).map((edit) => `-e '${edit}'`).join(" ");
  const change = edits === "" ? "" : `&& sed -i ${edits} Pulumi.production.yaml`;
  await world.controller(`cp /tmp/kept.yaml Pulumi.production.yaml ${change}`);
}

/** Starts `up` in a process group of its own and kills the whole group after a while; true when it was still at work. */
async function killUp(afterMs: number): Promise<boolean> {
  const line = [
    "setsid bin/engine up --yes --stack production >/tmp/killed.log 2>&1 & up=$!",
    `sleep ${(afterMs / 1000).toFixed(3)}`,
    "kill -9 -$up 2>/dev/null && echo killed || echo ended",
  ].join("\n");
  return (await world.controller(line)).trim() === "killed";
}

describe("the engine, killed -9 with all its children in the middle of up", () => {
  inWorld(world);

  it(
    `finishes with the next up, ${KILLS} times: the state is sound and says what is on the hosts`,
    { timeout: 3_600_000 * 4 },
    async () => {
      const { random, seed } = randomFrom(process.env["HEATWAVE_SEED"]);
      console.log(`seed ${seed}: HEATWAVE_SEED=${seed} repeats this choice of moments`);
      await world.controller("cp Pulumi.production.yaml /tmp/kept.yaml");
      // How long a whole run takes on this machine today: the moments are spread over it.
      await setVariant(1);
      const whole = await world.engine("up", "--yes");
      expect(whole, whole.stdout + whole.stderr).toMatchObject({ code: 0 });
      const changeMs = whole.seconds * 1000;
      let freshMs = changeMs * 2;
      const pendings: number[] = [];
      let killed = 0;
      for (let round = 0; round < KILLS; round += 1) {
        const isFresh = round % FRESH_EVERY === FRESH_EVERY - 1;
        if (isFresh) await makeBare(world, topology);
        await setVariant(round % 2);
        const moment = Math.round(random() * (isFresh ? freshMs : changeMs));
        const wasAtWork = await killUp(moment);
        killed += wasAtWork ? 1 : 0;
        const where = `seed ${seed}, round ${round}, ${isFresh ? "fresh" : "changed"}, killed after ${moment} ms`;
        const state = await world.controller(
          `cat ${STATE}/stacks/heatwave/production.json 2>/dev/null || true`,
        );
        if (state !== "") {
          const left = await inspectState();
          expect({ where, error: left.error }).toEqual({ where, error: null });
          pendings.push(left.pending.length);
        }

        const up = await world.engine("up", "--yes");
        expect(up, `${where}\n${up.stdout}${up.stderr}`).toMatchObject({ code: 0 });
        if (isFresh) freshMs = Math.max(freshMs, up.seconds * 1000);
        const { containers, volumes, ...rest } = await inspectState();
        expect({ where, ...rest }).toEqual({
          where,
          error: null,
          pending: [],
          waiting: [],
          stray: [],
          locks: [],
        });
        expect({ where, containers }).toEqual({
          where,
          containers: await onHosts("docker ps -aq --no-trunc"),
        });
        expect({ where, volumes }).toEqual({ where, volumes: await onHosts("docker volume ls -q") });
        console.log(`${where}: ${wasAtWork ? "at work" : "had ended"}, next up ${up.seconds.toFixed(1)} s`);
      }
      // A test in which every moment came too late would show nothing.
      expect(killed).toBeGreaterThan(KILLS / 2);
      console.log(
        `${killed} of ${KILLS} were killed at work; operations under way: ${pendings.sort((a, b) => a - b).join(" ")}`,
      );
      await setVariant(0);
      const last = await world.engine("up", "--yes");
      expect(last, last.stdout + last.stderr).toMatchObject({ code: 0 });
      const preview = await world.engine("preview", "--expect-no-changes");
      expect(preview, preview.stdout + preview.stderr).toMatchObject({ code: 0 });
    },
  );
});
