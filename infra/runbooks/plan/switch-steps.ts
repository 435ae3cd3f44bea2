import { slotName } from "../../topology/model.ts";
import type { LedgerEntry, SiteView } from "../observe/observation.ts";
import { expectation } from "./grants.ts";
import type { Step } from "./step.ts";

/** Steps that a switchover has wherever the writes come from: heatwave's own primary, or one that runs as it was found. */

/** Seconds in which the standby has to replay the last record. */
const PROOF_SECONDS = 5;

export const reserveStep = (from: string, to: string): Step => ({
  id: "slot",
  title: `Keep WAL at ${to} for ${from}`,
  action: { do: "reserve-slot", site: to, slot: slotName(from) },
  seconds: 10,
  undo: [{ do: "free-slots", site: to }],
});

export const holdStep: Step = {
  id: "hold",
  title: "Hold new connections at the routers",
  action: { do: "hold" },
  seconds: 5,
  undo: [{ do: "release" }],
};

export const cutStep = (from: string): Step => ({
  id: "cut",
  title: `End the sessions at ${from}`,
  action: { do: "cut", site: from },
  seconds: 5,
  undo: [{ do: "uncut", site: from, healthy: true }],
});

export const proofStep = (from: string, to: string, systemId: string): Step => ({
  id: "proof",
  title: `Prove that ${to} replayed all of ${from}`,
  action: { do: "prove-replay", to, systemId },
  seconds: PROOF_SECONDS,
});

export const releaseStep = (to: string, seconds = 5): Step => ({
  id: "release",
  title: `Let connections through to ${to}`,
  action: { do: "release", up: to },
  seconds,
  mayFail: true,
});

export const settleStep = (from: string): Step => ({
  id: "settle",
  title: `The routers take ${from}'s own word again`,
  action: { do: "settle-routers", site: from },
  seconds: 30,
  mayFail: true,
});

/** Of a resumption: whatever a dead controller left at the routers. */
export const clearStep = (primary: string | null): Step => ({
  id: "clear",
  title: "Every router is as its file says",
  action: { do: "clear-overrides", primary },
  seconds: 15,
  mayFail: true,
});

/** Of a resumption: nothing where the site's grant is not the one that the run gave. */
export function takeGrant({ name, grant }: SiteView, { epochs }: Pick<LedgerEntry, "epochs">): Step[] {
  // Also where somebody has taken it already: its epoch would keep the old primary from starting.
  if (grant === null || epochs === null || grant.epoch !== epochs.after) return [];
  return [
    {
      id: "grant",
      title: `Take the grant from ${name}`,
      action: {
        do: "grant",
        site: name,
        expect: expectation(grant),
        grant: { ...grant, state: "none", epoch: epochs.before },
      },
      seconds: 10,
    },
  ];
}
