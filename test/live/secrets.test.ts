import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generateSecrets } from "../../infra/rehearsal/overlay.ts";
import type { Canary, Finding, OverlaySecrets } from "../support/canaries.ts";
import {
  canary,
  passwordsOf,
  plant,
  searchFiles,
  verifiersOf,
  watchProcesses,
  within,
} from "../support/canaries.ts";
import { openFromHere, openPorts } from "../support/port-scan.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { topologyOf } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");
const topology = topologyOf("production", root);
const machines = ["controller", ...topology.hosts.map(({ name }) => name)];

/** Folders of a host that anything of the stack, or of a tool that it calls, could write to. */
const HOST_FOLDERS =
  "/var/lib/heatwave /etc /tmp /run /root /home /opt /srv /usr/local /dev/shm /var/log /var/tmp /var/lib/docker";
const CONTROLLER_FOLDERS =
  "/var/lib/heatwave-state /etc /tmp /run /root /home /var/log /var/tmp /dev/shm /heatwave --exclude-dir=node_modules";
const foldersOf = (machine: string): readonly string[] =>
  (machine === "controller" ? CONTROLLER_FOLDERS : HOST_FOLDERS).split(" ");

let passwords: readonly Canary[] = [];
let verifiers: readonly Canary[] = [];
/** What the first `up` and the looks at it brought. */
const first: {
  output: string;
  processes: { machine: string; samples: number; findings: readonly Finding[] }[];
} = {
  output: "",
  processes: [],
};

async function secretsOf(path: string): Promise<OverlaySecrets> {
  return (JSON.parse(await world.controller(`cat ${path}`)) as { secrets: OverlaySecrets }).secrets;
}

/** All that `docker` on every host tells of every container: how it was made, and what it wrote. */
async function told(): Promise<string> {
  const line =
    "docker ps -aq | xargs docker inspect; for id in $(docker ps -aq); do docker logs $id 2>&1; done";
  return (await Promise.all(topology.hosts.map(({ name }) => world.host(name, line)))).join("\n");
}

describe("secrets, ports and host keys in a sealed world of production", { timeout: 300_000 }, () => {
  beforeAll(async () => {
    await world.run("up", "--hosts-only");
    const secrets = await secretsOf("/etc/heatwave/overlay.json");
    const passphrase = (await world.controller("cat /etc/heatwave/passphrase")).trim();
    passwords = [...passwordsOf(secrets), canary("passphrase", passphrase)];
    verifiers = verifiersOf(secrets);
    const all = [...passwords, ...verifiers];
    const watches = await Promise.all(
      machines.map(async (machine) => ({ machine, watch: await watchProcesses(world, machine, all, "up") })),
    );
    const up = await world.engine("up", "--yes");
    first.output = up.stdout + up.stderr;
    for (const { machine, watch } of watches) first.processes.push({ machine, ...(await watch.stop()) });
    expect(up, first.output).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await world.down();
  });

  it("the search finds a planted canary in each place and encoding", async () => {
    const planted = plant();
    const { secret } = planted;
    const encoded = [
      secret,
      JSON.stringify(secret),
      encodeURIComponent(secret),
      ...["", "x", "xy"].map((before) => Buffer.from(`${before}${secret}${secret}`).toString("base64")),
      Buffer.from(`?>${secret}`).toString("base64url"),
    ];
    for (const text of encoded) expect(within(`… ${text} …`, [planted]), text).toEqual(["planted"]);
    const [host = ""] = topology.hosts.map(({ name }) => name);
    for (const machine of ["controller", host]) {
      const put = (line: string): Promise<string> =>
        machine === "controller" ? world.controller(line, secret) : world.host(machine, line, secret);
      await put("umask 077; base64 >/tmp/heatwave-planted");
      try {
        const folders = foldersOf(machine).filter((folder) => folder !== "/var/lib/docker");
        const found = await searchFiles(world, machine, folders, [planted]);
        expect(found).toEqual([{ place: "/tmp/heatwave-planted", mode: "600", names: ["planted"] }]);
        const watch = await watchProcesses(world, machine, [planted], "planted");
        // Once in an environment as it is, once among the arguments in base64.
        await put('X="$(cat)" sleep 2; sh -c "sleep 2; :" "$(cat /tmp/heatwave-planted)"');
        const { findings } = await watch.stop();
        const places = new Set(findings.map(({ place }) => place.replace(/\d+/, "PID")));
        expect([...places].toSorted()).toEqual(["/proc/PID/cmdline", "/proc/PID/environ"]);
      } finally {
        await put("rm -f /tmp/heatwave-planted");
      }
    }
    // One container that has it in its environment and writes it to its log.
    const image = "$(docker inspect --format {{.Image}} heatwave-postgres)";
    const line = `docker run -d --name planted --env "X=$(cat)" --entrypoint sh ${image} -c 'echo "$X"'; docker wait planted`;
    await world.host(host, line, secret);
    try {
      const inspected = await world.host(host, "docker inspect planted");
      const logged = await world.host(host, "docker logs planted");
      expect([within(inspected, [planted]), within(logged, [planted])]).toEqual([["planted"], ["planted"]]);
      expect(within(await told(), [planted])).toEqual(["planted"]);
    } finally {
      await world.host(host, "docker rm -f planted");
    }
  });

  it("passwords are in the files meant to hold them alone, each of mode 0600", async () => {
    for (const host of topology.hosts) {
      const site = topology.sites.find((each) => each.host === host)!;
      const found = await searchFiles(world, host.name, foldersOf(host.name), passwords);
      const postgres = (file: string) => `${site.postgres.directory}/${file}`;
      expect(found, host.name).toEqual(
        [
          {
            place: `${site.pgHealth.directory}/secrets/pg-health.json`,
            names: ["healthPassword", "peerSecret"],
          },
          { place: postgres("secrets/replication-password"), names: ["replicationPassword"] },
          { place: postgres("secrets/superuser-password"), names: ["superuserPassword"] },
          // Written by the entrypoint for the walreceiver, whatever the site's role.
          { place: postgres("run/replication.pgpass"), names: ["replicationPassword"] },
        ]
          .map((each) => ({ ...each, mode: "600" }))
          .toSorted((a, b) => (a.place < b.place ? -1 : 1)),
      );
    }
    expect(await searchFiles(world, "controller", foldersOf("controller"), passwords)).toEqual([
      {
        place: "/etc/heatwave/overlay.json",
        names: passwords
          .map(({ name }) => name)
          .filter((name) => name !== "passphrase")
          .toSorted(),
        mode: "600",
      },
      { place: "/etc/heatwave/passphrase", names: ["passphrase"], mode: "600" },
    ]);
  });

  it("verifiers are in the pooler's user list and in PostgreSQL's own data, each file of mode 0600", async () => {
    for (const host of topology.hosts) {
      const site = topology.sites.find((each) => each.host === host)!;
      const found = await searchFiles(world, host.name, foldersOf(host.name), verifiers);
      const data = `/var/lib/docker/volumes/${site.volume}/_data/18/docker/`;
      const elsewhere = found.filter(({ place }) => !/^(global|pg_wal)\//.test(place.replace(data, "")));
      expect(elsewhere, host.name).toEqual([
        {
          place: `${site.pgbouncer.directory}/secrets/userlist.txt`,
          names: ["verifier of heatwave", "verifier of heatwave_health"],
          mode: "600",
        },
      ]);
      const own = found.filter((each) => !elsewhere.includes(each));
      expect(own.length).toBeGreaterThan(0);
      expect(own.filter(({ mode }) => mode !== "600")).toEqual([]);
    }
    expect(await searchFiles(world, "controller", foldersOf("controller"), verifiers)).toEqual([]);
  });

  it("no process showed one while `up` ran, on any machine", () => {
    for (const { machine, samples, findings } of first.processes) {
      expect(findings, machine).toEqual([]);
      expect(samples, machine).toBeGreaterThan(20);
    }
    console.log(
      `process lists: ${first.processes.map((one) => `${one.machine} ${one.samples} looks`).join(", ")}`,
    );
  });

  it("no output of up, no container's log, no `docker inspect` shows one", async () => {
    const all = [...passwords, ...verifiers];
    expect(within(first.output, all)).toEqual([]);
    expect(first.output).toMatch(/created/);
    expect(within(await told(), all)).toEqual([]);
    const { stdout } = await execa("docker", [
      "ps",
      "-aq",
      "--filter",
      `label=heatwave.world=${world.world}`,
    ]);
    for (const id of stdout.split("\n")) {
      const { all: text } = await execa("sh", ["-c", `docker inspect ${id}; docker logs ${id} 2>&1`], {
        all: true,
      });
      expect(within(text, all)).toEqual([]);
    }
  });

  it("previews and a failing `up` that change every secret show neither the old nor the new ones", async () => {
    const old = JSON.parse(await world.controller("cat /etc/heatwave/overlay.json")) as {
      secrets: OverlaySecrets;
    };
    const rotated = generateSecrets(old.secrets) as unknown as OverlaySecrets;
    await world.controller(
      "umask 077; cat >/etc/heatwave/rotated.json",
      JSON.stringify({ ...old, secrets: rotated }),
    );
    const all = [...passwords, ...verifiers, ...passwordsOf(rotated), ...verifiersOf(rotated)];
    const engine = (verb: string): Promise<{ code: number; stdout: string; stderr: string }> =>
      world.attempt(
        ...["exec", "--", "sh", "-c"],
        `HEATWAVE_OVERLAY=/etc/heatwave/rotated.json exec bin/engine ${verb} --stack production`,
      );
    for (const verb of ["preview", "preview --diff", "preview --json"]) {
      const { code, stdout, stderr } = await engine(verb);
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(/userlist\.txt/);
      expect(within(stdout + stderr, all), verb).toEqual([]);
    }
    // PostgreSQL refuses the new verifiers: its table of roles is locked, and the lock is waited for a moment only.
    await world.sql(topology.primary, "alter role postgres set lock_timeout = '200ms'");
    const locked = world.sql(
      topology.primary,
      "begin; lock table pg_authid in exclusive mode; select pg_sleep(60)",
    );
    locked.catch(() => undefined);
    const { code, stdout, stderr } = await engine("up --yes");
    await world.sql(
      topology.primary,
      "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_authid in exclusive%' and pid <> pg_backend_pid()",
    );
    await world.sql(topology.primary, "alter role postgres reset lock_timeout");
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/lock timeout/);
    expect(within(stdout + stderr, all)).toEqual([]);
    expect(within(await told(), all)).toEqual([]);
    await world.controller("rm /etc/heatwave/rotated.json");
    const back = await world.engine("up", "--yes");
    expect(back, back.stdout + back.stderr).toMatchObject({ code: 0 });
    for (const [machine, where] of machines.map((each) => [each, foldersOf(each)] as const)) {
      const left = await searchFiles(world, machine, where, passwordsOf(rotated));
      expect(left, machine).toEqual([]);
    }
  });

  it("nothing of ours answers outside the tailnet, and on it exactly the declared ports do", async () => {
    // What this scan finds where something listens.
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port: known } = listener.address() as AddressInfo;
    expect(await openFromHere("127.0.0.1", [known])).toEqual([known]);
    listener.close();
    for (const host of topology.hosts) {
      const { stdout } = await execa("docker", [
        ...["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"],
        `heatwave-${world.world}-${host.name}`,
      ]);
      const site = topology.sites.find((each) => each.host === host);
      const router = topology.routers.find((each) => each.host === host);
      const declared = [
        ...(site === undefined ? [] : [site.postgres.port, site.pgbouncer.port, site.pgHealth.port]),
        ...(router === undefined ? [] : [router.statsPort, ...topology.listeners.map(({ port }) => port)]),
      ].toSorted((a, b) => a - b);
      // The tailnet address is not tried from here: on an operator's laptop it may be production's.
      expect(await openFromHere(stdout, [...declared, host.ssh.port]), "from the machine outside").toEqual(
        [],
      );
      expect(await openPorts(world, stdout), "underlay").toEqual([host.ssh.port]);
      expect(await openPorts(world, host.address), "tailnet").toEqual(
        [host.ssh.port, ...declared].toSorted((a, b) => a - b),
      );
    }
  });

  it("a changed host key stops the docker and the command provider, with both fingerprints and what to do", async () => {
    const host = topology.hosts.at(-1)!;
    const print = async (): Promise<string> =>
      /SHA256:\S+/.exec(await world.host(host.name, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key"))![0];
    const restart = "kill -HUP $(cat /run/sshd.pid)";
    const declared = await print();
    await world.host(
      host.name,
      `cd /etc/ssh && cp -p ssh_host_ed25519_key /root/kept && rm -f ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key && ${restart}`,
    );
    try {
      const shown = await print();
      expect(shown).not.toBe(declared);
      const told = new RegExp(
        `shows ${escaped(shown)} instead of ${escaped(declared)}; if the host was rebuilt, put its new public key in the stack file`,
      );
      const refresh = await world.engine("refresh", "--yes");
      expect(refresh.stdout + refresh.stderr, "docker provider").toMatch(told);
      const up = await world.attempt(
        ...["exec", "--", "sh", "-c"],
        "cp Pulumi.production.yaml /tmp/kept.yaml; sed -i 's/max_connections: 200/max_connections: 200\\n      work_mem: 8MB/' Pulumi.production.yaml; " +
          "bin/engine up --yes --stack production; code=$?; cp /tmp/kept.yaml Pulumi.production.yaml; exit $code",
      );
      expect(up.code).toBe(1);
      expect(up.stdout + up.stderr, "command provider").toMatch(told);
    } finally {
      await world.host(host.name, `mv /root/kept /etc/ssh/ssh_host_ed25519_key && ${restart}`);
    }
    const back = await world.engine("up", "--yes");
    expect(back, back.stdout + back.stderr).toMatchObject({ code: 0 });
  });
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
