import { describe, expect, it } from "vitest";
import type { ControlEnd } from "../../../infra/hosts/control-socket.ts";
import { ActionRefused } from "../../../infra/runbooks/execute/action-refused.ts";
import { Grants } from "../../../infra/runbooks/execute/grants.ts";
import type { Learned } from "../../../infra/runbooks/execute/learned.ts";
import { prove, proveReplay } from "../../../infra/runbooks/execute/proof.ts";
import type { GrantView, SiteView } from "../../../infra/runbooks/observe/observation.ts";
import { grant, primary, standby } from "./observations.ts";

const unlearned = (): Learned => ({ shutdown: null, replayed: null, timeline: null, notes: [] });
/** Already over: one look. */
const NOW = 0;

describe("the proof that a standby has everything", () => {
  const stopped = primary("dal-01", { running: false, controlState: "shut down" });
  const at = (replayed: string, more: Partial<SiteView> = {}): SiteView => ({
    ...standby("chi-02", more),
    lsn: { ...standby("chi-02").lsn, replayed },
  });
  const proven = async (old: SiteView, next: SiteView): Promise<Learned> => {
    const learned = unlearned();
    const view = (name: string): Promise<SiteView> => Promise.resolve(name === "dal-01" ? old : next);
    await prove(view, learned, { from: "dal-01", to: "chi-02", until: NOW });
    return learned;
  };

  it("is that it replayed past the shutdown checkpoint's start", async () => {
    expect(await proven(stopped, at("0/3000078"))).toMatchObject({
      shutdown: "0/3000000",
      replayed: "0/3000078",
    });
  });

  it.each<[string, SiteView, SiteView, RegExp]>([
    [
      "it only came to its start",
      stopped,
      at("0/3000000"),
      /shutdown checkpoint 0\/3000000, replayed 0\/3000000/,
    ],
    ["the old primary runs", primary("dal-01"), at("0/3000078"), /dal-01 is not shut down: in production/],
    ["they are of two clusters", stopped, at("0/3000078", { systemId: "1" }), /not of the same cluster/],
  ])("is none where %s", async (_what, old, next, says) => {
    await expect(proven(old, next)).rejects.toThrow(says);
  });

  const TO = { to: "chi-02", systemId: "7", seconds: 1 };
  const replayed = (systemId: string): Promise<ControlEnd> =>
    Promise.resolve({ ok: true, message: "", value: { replayed: "0/3000078", systemId } });

  it("in the gap is asked of the standby alone, by the checkpoint that was named", async () => {
    const learned = { ...unlearned(), shutdown: "0/3000000" };
    const asked: unknown[] = [];
    await proveReplay(
      (body) => {
        asked.push(body);
        return replayed("7");
      },
      learned,
      TO,
    );
    expect(asked).toEqual([{ lsn: "0/3000000", limitMs: 1000 }]);
    expect(learned.replayed).toBe("0/3000078");
    await expect(proveReplay(() => replayed("8"), learned, TO)).rejects.toThrow(/is of system 8/);
    await expect(proveReplay(() => replayed("7"), unlearned(), TO)).rejects.toThrow(/no shutdown checkpoint/);
  });
});

describe("a grant that is given", () => {
  const given = grant("held", 2);
  const ok: ControlEnd = { ok: true, message: "" };
  const refused: ControlEnd = { ok: false, kind: "refused", message: "its grant is another one" };
  const give = { do: "grant", site: "chi-02", expect: { epoch: 1, state: "none" }, grant: given } as const;

  function grants(answer: ControlEnd, present: GrantView | null, peers: readonly unknown[] = []) {
    const sites = {
      view: () => Promise.resolve(standby("chi-02", { grant: present })),
      ask: (_site: string, route: string) =>
        Promise.resolve(route === "GET /peers" ? { ok: true, message: "", value: peers } : answer),
    };
    return new Grants(sites, unlearned());
  }

  it("is done where a controller that died did it before, and refused where another one is there", async () => {
    await expect(grants(refused, given).give(give, NOW)).resolves.toBeUndefined();
    await expect(grants(refused, grant("none")).give(give, NOW)).rejects.toThrow(ActionRefused);
  });

  it("is waited for at a site that is to start, as far as who has it is heard", async () => {
    const heard = (facts: unknown) =>
      grants(ok, given, [{ site: "chi-02", ...(facts === undefined ? {} : { facts }) }]);
    for (const facts of [undefined, { grant: given }]) {
      const run = heard(facts);
      await run.give(give, NOW);
      await expect(run.awaitHeard("dal-01")).resolves.toBeUndefined();
    }
  });
});
