import { describe, expect, it } from "vitest";
import { planDown } from "../../../infra/maintenance/plan-down.ts";
import { kamalProxy } from "../../../infra/maintenance/proxy.ts";
import type { Seen } from "../../../infra/maintenance/seen.ts";
import type { Plan } from "../../../infra/maintenance/task.ts";
import { change, changed, container, declared, downed, look, proxy, words } from "./looks.ts";

const down = (seen: Seen): Plan => planDown(seen, declared(), kamalProxy);
/** Dallas with containers changed, after a whole `up`. */
const dallas = (changes: Parameters<typeof changed>[1]): Seen =>
  change(downed(), "dal-01", { containers: changed(downed().hosts[0], changes) });

describe("down", () => {
  it("starts exactly what was noted, then lets each proxy serve, then forgets", () => {
    const plan = down(downed());
    expect(words(plan.tasks)).toEqual([
      "dal-01: start heatwave-web-v2, heatwave-sidekiq-v2",
      "chi-02: start databasus",
      "dal-01: kamal-proxy serves heatwave-web again",
      "dal-01: the window is over",
      "chi-02: the window is over",
    ]);
    expect(plan.tasks.find(({ phase }) => phase === "proxy-resume")?.needs).toEqual(["dal-01 start"]);
    expect(plan.tasks.find(({ id }) => id === "dal-01 forget")?.needs).toEqual([
      "dal-01 start",
      "dal-01 proxy-resume heatwave-web",
    ]);
    expect(plan.left).toEqual([]);
  });

  it("needs nothing of the stack file", () => {
    expect(words(planDown(downed(), undefined, kamalProxy).tasks)).toEqual(words(down(downed()).tasks));
  });

  it("has nothing to do where no window is open", () => {
    expect(down(look())).toEqual({ tasks: [], silent: [], left: [], objections: [] });
  });

  it("goes on where an earlier call stopped", () => {
    expect(
      words(
        down(
          dallas({
            "heatwave-web-v2": { state: "running", health: "healthy" },
            "heatwave-sidekiq-v2": { state: "running" },
          }),
        ).tasks,
      ).slice(1),
    ).toEqual([
      "dal-01: kamal-proxy serves heatwave-web again",
      "dal-01: the window is over",
      "chi-02: the window is over",
    ]);
  });

  it("waits for a container that runs and is not healthy yet", () => {
    const plan = down(dallas({ "heatwave-web-v2": { state: "running", health: "starting" } }));
    expect(words(plan.tasks)[0]).toBe("dal-01: start heatwave-web-v2, heatwave-sidekiq-v2");
  });

  it("a proxy that serves already is not told; one that was stopped by hand before stays so", () => {
    const serving = change(downed(), "dal-01", { proxy: proxy("running") });
    expect(words(down(serving).tasks).filter((text) => text.includes("kamal-proxy"))).toEqual([]);
    const [dal] = downed().hosts;
    const byHand = change(downed(), "dal-01", {
      window: dal?.window ? { ...dal.window, proxy: null } : null,
    });
    expect(words(down(byHand).tasks).filter((text) => text.includes("kamal-proxy"))).toEqual([]);
  });

  it.each([
    ["does not run", { running: false }],
    ["is gone", { running: null }],
    ["cannot be asked", { silent: "no answer" }],
  ])("a proxy that %s is told all the same: it would remember the 503", (_, is) => {
    const seen = change(downed(), "dal-01", { proxy: { ...proxy("stopped"), services: new Map(), ...is } });
    expect(words(down(seen).tasks)).toContain("dal-01: kamal-proxy serves heatwave-web again");
  });

  it("a container that a deploy replaced stays stopped", () => {
    const before = downed();
    const plan = down(
      change(before, "dal-01", {
        containers: [...(before.hosts[0]?.containers ?? []), container("heatwave-web-v3")],
      }),
    );
    expect(words(plan.tasks)[0]).toBe("dal-01: start heatwave-sidekiq-v2");
    expect(plan.left).toEqual(["dal-01: heatwave-web-v2 was replaced by a newer one, and stays as it is"]);
  });

  it("without anything behind it the proxy goes on with its 503; a lost worker is told", () => {
    const web = down(dallas({ "heatwave-web-v2": null }));
    expect(words(web.tasks)).toContain(
      "dal-01: start heatwave-web-v2: the container is gone and nothing of role web runs; deploy the app, then again",
    );
    expect(web.tasks.find(({ phase }) => phase === "proxy-resume")?.needs).toContain(
      "dal-01 start heatwave-web-v2",
    );
    const sidekiq = down(dallas({ "heatwave-sidekiq-v2": null }));
    expect(words(sidekiq.tasks)[0]).toBe("dal-01: start heatwave-web-v2");
    expect(sidekiq.left).toEqual(["dal-01: heatwave-sidekiq-v2 is gone, and cannot be started"]);
  });

  it("a container beside the app holds up neither the app nor its proxy", () => {
    const seen = look();
    const [dal] = downed().hosts;
    const plan = down(
      change(seen, "dal-01", {
        ...dal,
        window: dal?.window
          ? { ...dal.window, containers: [...dal.window.containers, { ...container("cron"), id: "c" }] }
          : null,
        containers: [...(dal?.containers ?? []), container("cron", { id: "c", state: "exited" })],
      }),
    );
    expect(words(plan.tasks)).toContain("dal-01: start cron");
    expect(plan.tasks.find(({ phase }) => phase === "proxy-resume")?.needs).toEqual(["dal-01 start"]);
    expect(plan.tasks.find(({ phase }) => phase === "forget")?.needs).toContain("dal-01 start-others");
  });

  it("a host that does not answer is named: it may hold a note", () => {
    const plan = down(change(downed(), "chi-02", { silent: "ssh: timed out", window: null, containers: [] }));
    expect(plan.silent).toEqual([{ host: "chi-02", why: "ssh: timed out" }]);
    expect(words(plan.tasks)).toHaveLength(3);
  });
});
