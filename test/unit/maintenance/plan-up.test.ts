import { describe, expect, it } from "vitest";
import {
  change,
  changed,
  container,
  declared,
  downed,
  look,
  noteOf,
  OPENER,
  proxy,
  up,
  words,
} from "./looks.ts";

describe("up", () => {
  it("notes first, then 503, then stops what runs of the declared roles and containers, and nothing else", () => {
    const plan = up(look());
    expect(plan.objections).toEqual([]);
    expect(words(plan.tasks)).toEqual([
      "dal-01: note",
      "chi-02: note",
      "dal-01: kamal-proxy answers 503 for heatwave-web",
      "dal-01: stop heatwave-web-v2, heatwave-sidekiq-v2",
      "chi-02: stop databasus",
    ]);
    expect(noteOf(plan, "dal-01")).toEqual({
      version: 1,
      stack: "production",
      host: "dal-01",
      ...OPENER,
      proxy: { container: "kamal-proxy", services: [{ name: "heatwave-web", role: "web" }] },
      containers: [
        {
          id: "id-heatwave-web-v2",
          name: "heatwave-web-v2",
          service: "heatwave",
          role: "web",
          destination: "",
        },
        {
          id: "id-heatwave-sidekiq-v2",
          name: "heatwave-sidekiq-v2",
          service: "heatwave",
          role: "sidekiq",
          destination: "",
        },
      ],
    });
  });

  it("stops workers only once their host's note and 503 are there", () => {
    const { tasks } = up(look());
    expect(tasks.find(({ id }) => id === "dal-01 stop")?.needs).toEqual([
      "dal-01 note",
      "dal-01 proxy-stop heatwave-web",
    ]);
    expect(tasks.find(({ id }) => id === "chi-02 stop")?.needs).toEqual(["chi-02 note"]);
  });

  it("gives containers the declared time to end, or their own where it is longer", () => {
    const seconds = (stopSeconds: number): unknown => {
      const seen = look();
      const plan = up(
        change(seen, "dal-01", {
          containers: changed(seen.hosts[0], { "heatwave-sidekiq-v2": { stopSeconds } }),
        }),
      );
      return plan.tasks.find(({ id }) => id === "dal-01 stop")?.action;
    };
    expect(seconds(10)).toMatchObject({ do: "stop", seconds: 60 });
    expect(seconds(300)).toMatchObject({ do: "stop", seconds: 300 });
  });

  it("has nothing to do where all is down", () => {
    expect(up(downed())).toEqual({ tasks: [], silent: [], left: [], objections: [] });
  });

  it("finishes what an earlier call left, under the earlier call's name", () => {
    const half = change(downed(), "dal-01", {
      containers: changed(downed().hosts[0], { "heatwave-sidekiq-v2": { state: "running" } }),
    });
    expect(words(up(half).tasks)).toEqual(["dal-01: stop heatwave-sidekiq-v2"]);

    const late = change(downed(), "chi-02", { window: null, containers: [container("databasus")] });
    const plan = up({ ...late, at: "2026-01-02T09:00:00.000Z" });
    expect(words(plan.tasks)).toEqual(["chi-02: note", "chi-02: stop databasus"]);
    expect(noteOf(plan, "chi-02")).toMatchObject({ who: OPENER.who, since: OPENER.since, id: OPENER.id });
  });

  it("what was stopped before is neither noted nor told", () => {
    const seen = look();
    const plan = up(
      change(seen, "dal-01", {
        proxy: proxy("stopped"),
        containers: changed(seen.hosts[0], { "heatwave-sidekiq-v2": { state: "exited" } }),
      }),
    );
    expect(words(plan.tasks).filter((text) => text.startsWith("dal-01"))).toEqual([
      "dal-01: note",
      "dal-01: stop heatwave-web-v2",
    ]);
    expect(noteOf(plan, "dal-01")).toMatchObject({ proxy: null, containers: [{ name: "heatwave-web-v2" }] });
  });

  it("a deploy while the window is open takes the place of what it replaced", () => {
    const before = downed();
    const deployed = change(before, "dal-01", {
      proxy: proxy("running"),
      containers: [...(before.hosts[0]?.containers ?? []), container("heatwave-web-v3")],
    });
    const plan = up(deployed);
    expect(words(plan.tasks)).toEqual([
      "dal-01: note",
      "dal-01: kamal-proxy answers 503 for heatwave-web",
      "dal-01: stop heatwave-web-v3",
    ]);
    expect(noteOf(plan, "dal-01").containers.map(({ name }) => name)).toEqual([
      "heatwave-sidekiq-v2",
      "heatwave-web-v3",
    ]);
  });

  it("a container that came back by itself is stopped again, and its note is not written anew", () => {
    const back = change(downed(), "chi-02", {
      containers: [container("databasus", { state: "restarting" })],
    });
    expect(words(up(back).tasks)).toEqual(["chi-02: stop databasus"]);
  });

  it("only a container of the declared destination is the app's", () => {
    const plan = up(look(), { ...declared(), destination: "staging" });
    expect(plan.objections[0]).toBe(
      "heatwave:maintenance.app: heatwave: no container on dal-01 has service=heatwave and destination=staging; services there: heatwave, other; correct the key, or deploy the app first",
    );
  });

  it("a host that does not answer is named, and the others go on", () => {
    const plan = up(look({ chi: { silent: "ssh: timed out", containers: [] } }));
    expect(plan.silent).toEqual([{ host: "chi-02", why: "ssh: timed out" }]);
    expect(plan.objections).toEqual([]);
    expect(plan.tasks.every(({ host }) => host === "dal-01")).toBe(true);
  });

  it.each([
    ["a mistyped app", { app: "heatwav" }, "heatwave:maintenance.app: heatwav: no container"],
    [
      "a mistyped role",
      { roles: ["web", "sidekik"] },
      "heatwave:maintenance.roles: sidekik: no container on dal-01",
    ],
    [
      "a mistyped proxy",
      { proxy: { ...declared().proxy, container: "proxy" } },
      "heatwave:maintenance.proxy.container: proxy: there is no such container on dal-01",
    ],
    [
      "a service that the proxy does not have",
      { proxy: { ...declared().proxy, services: [{ name: "heatwave-app", role: "web" }] } },
      "kamal-proxy on dal-01 has no service heatwave-app; it has: heatwave-web",
    ],
    [
      "a mistyped container",
      { extras: [{ host: "chi-02", name: "databassus" }] },
      "heatwave:maintenance.containers[0].name: databassus: there is no such container on chi-02; containers there: databasus, heatwave-web-v2",
    ],
  ])("%s is refused before anything is begun, and does not hinder finishing", (_, want, text) => {
    const odd = { ...declared(), ...want };
    const seen =
      odd.proxy.container === "proxy"
        ? look({ dal: { proxy: { ...proxy("running"), running: null } } })
        : look();
    expect(up(seen, odd).objections.join("\n")).toContain(text);
    expect(up(downed(), odd).objections).toEqual([]);
  });

  it("a proxy that hangs is refused; a host of workers alone needs none", () => {
    expect(
      up(look({ dal: { proxy: { ...proxy("running"), silent: "no answer within 20 s" } } })).objections,
    ).toEqual(["kamal-proxy on dal-01 does not answer: no answer within 20 s; mend or restart it"]);
    const seen = look();
    const workers = change(seen, "dal-01", {
      proxy: { ...proxy("running"), running: null, services: new Map() },
      containers: changed(seen.hosts[0], { "heatwave-web-v1": null, "heatwave-web-v2": null }),
    });
    const plan = up(workers, { ...declared(), roles: ["sidekiq"] });
    expect(plan.objections).toEqual([]);
    expect(words(plan.tasks)).toContain("dal-01: stop heatwave-sidekiq-v2");
  });
});
