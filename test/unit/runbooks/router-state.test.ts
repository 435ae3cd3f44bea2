import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { listenerViews } from "../../../infra/runbooks/observe/router-state.ts";
import { loadStackFile } from "../../../infra/config/load.ts";
import { buildTopology } from "../../../infra/topology/model.ts";

const topology = buildTopology(loadStackFile(join(import.meta.dirname, "../../.."), "production"));
const [router] = topology.routers;

/** As HAProxy 3.0 answers, with the columns that are read. */
const STAT = [
  "# pxname,svname,scur,slim,status,check_status,check_rise,check_fall,check_health",
  "pg-primary,FRONTEND,7,2000,OPEN,,,,",
  "pg-primary,dal-01,7,,UP,,,,",
  "pg-primary,chi-02,0,,DOWN,L7STS,2,3,0",
  "pg-primary_probe,dal-01,0,,UP,L7OK,2,3,4",
  "",
].join("\n");
const STATE = [
  "1",
  "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state",
  "2 pg-primary 1 dal-01 172.18.0.4 2 0 1 1 0",
  "2 pg-primary 2 chi-02 100.68.157.49 0 0 1 1 6",
  "3 pg-primary_probe 1 dal-01 172.18.0.5 2 0 1 1 6",
  "",
].join("\n");

const view = (stat = STAT, state = STATE) => {
  if (router === undefined) throw new Error("production has a router");
  const [listener] = listenerViews(topology, router, 2000, stat, state);
  if (listener === undefined) throw new Error("production has a listener");
  return listener;
};

describe("a router's state", () => {
  it("is its sessions and server states, without overrides as rendered", () => {
    expect(view()).toEqual({
      name: "pg-primary",
      route: "write",
      sessions: 7,
      servers: [
        { site: "dal-01", status: "UP", sessions: 7 },
        { site: "chi-02", status: "DOWN", sessions: 0 },
      ],
      overrides: [],
    });
  });

  it.each([
    ["a held listener", STAT.replace("7,2000", "7,0"), STATE, "pg-primary is held (maxconn 0)"],
    ["another maxconn", STAT.replace("7,2000", "7,100"), STATE, "pg-primary maxconn 100"],
    ["maint", STAT, STATE.replace("chi-02 100.68.157.49 0 0", "chi-02 100.68.157.49 0 1"), "chi-02 in maint"],
    [
      "maint of the local site's check",
      STAT,
      STATE.replace("172.18.0.5 2 0", "172.18.0.5 2 1"),
      "dal-01 in maint",
    ],
    ["drain", STAT, STATE.replace("172.18.0.4 2 0", "172.18.0.4 2 8"), "dal-01 in drain"],
    ["another weight", STAT, STATE.replace("172.18.0.4 2 0 1 1", "172.18.0.4 2 0 50 1"), "dal-01 weight 50"],
    [
      "checks off",
      STAT,
      STATE.replace("172.18.0.5 2 0 1 1 6", "172.18.0.5 2 0 1 1 2"),
      "dal-01 without health checks",
    ],
    ["another address", STAT, STATE.replace("100.68.157.49", "100.64.0.9"), "chi-02 at 100.64.0.9"],
    ["forced up", STAT.replace("UP,L7OK,2,3,4", "UP,L7STS,2,3,4"), STATE, "dal-01 forced up"],
    ["forced down", STAT.replace("DOWN,L7STS,2,3,0", "DOWN,L7OK,2,3,0"), STATE, "chi-02 forced down"],
  ])("names %s", (_, stat, state, override) => {
    expect(view(stat, state).overrides).toEqual([override]);
  });

  it("takes no server that is on its way up or down for forced", () => {
    expect(view(STAT.replace("UP,L7OK,2,3,4", "UP 2/3,L7STS,2,3,3")).overrides).toEqual([]);
    expect(view(STAT.replace("DOWN,L7STS,2,3,0", "DOWN 1/2,L7OK,2,3,1")).overrides).toEqual([]);
    expect(view(STAT.replace("UP,L7OK,2,3,4", "UP,,2,3,4")).overrides).toEqual([]);
  });
});
