import picocolors from "picocolors";
import { describe, expect, it } from "vitest";
import { endLines, statusLines } from "../../../infra/cli/maintenance/text.ts";
import { kamalProxy } from "../../../infra/maintenance/proxy.ts";
import type { Seen } from "../../../infra/maintenance/seen.ts";
import { statusOf } from "../../../infra/maintenance/status.ts";
import type { Status } from "../../../infra/maintenance/status.ts";
import { change, changed, container, declared, downed, look } from "./looks.ts";

const plain = picocolors.createColors(false);
const status = (seen: Seen): Status => statusOf(seen, declared(), kamalProxy);
const text = (seen: Seen): string => statusLines(status(seen), plain).join("\n");

describe("status", () => {
  it("without a window", () => {
    expect(text(look())).toBe(
      `production: no maintenance is in force
HOST    WHAT                      ROLE     NOW               WHEN IT ENDS
dal-01  kamal-proxy heatwave-web           running
dal-01  heatwave-web-v2           web      running, healthy
dal-01  heatwave-sidekiq-v2       sidekiq  running
dal-01  heatwave-web-v1           web      exited
chi-02  databasus                          running`,
    );
  });

  it("in force: since when, by whom, and what its end does", () => {
    expect(text(downed())).toBe(
      `production: in maintenance since 2026-01-02 03:04:05 UTC (10 min 0 s), by alice@laptop pid 7
HOST    WHAT                      ROLE     NOW     WHEN IT ENDS
dal-01  kamal-proxy heatwave-web           503     serves again
dal-01  heatwave-web-v2           web      exited  is started
dal-01  heatwave-sidekiq-v2       sidekiq  exited  is started
dal-01  heatwave-web-v1           web      exited  stays as it is
chi-02  databasus                          exited  is started
next   bin/maintenance down production`,
    );
  });

  it("half done: what is open, and both ways on", () => {
    const half = change(
      change(downed(), "chi-02", { silent: "ssh deploy@100.68.157.49:22: cannot be reached", window: null }),
      "dal-01",
      { containers: changed(downed().hosts[0], { "heatwave-sidekiq-v2": { state: "running" } }) },
    );
    expect(text(half)).toBe(
      `production: partly in maintenance since 2026-01-02 03:04:05 UTC (10 min 0 s), by alice@laptop pid 7
HOST    WHAT                      ROLE     NOW              WHEN IT ENDS
dal-01  kamal-proxy heatwave-web           503              serves again
dal-01  heatwave-web-v2           web      exited           is started
dal-01  heatwave-sidekiq-v2       sidekiq  running          is started
dal-01  heatwave-web-v1           web      exited           stays as it is
chi-02  ?                                  cannot be asked
! dal-01: heatwave-sidekiq-v2 is running
! chi-02 cannot be asked: ssh deploy@100.68.157.49:22: cannot be reached
next   bin/maintenance up production finishes it, bin/maintenance down production takes it back`,
    );
    expect(status(half)).toMatchObject({
      state: "partly",
      since: "2026-01-02T03:04:05.000Z",
      next: ["bin/maintenance up production", "bin/maintenance down production"],
    });
  });

  it("a host that was left out, and a container that came up meanwhile", () => {
    const seen = change(downed(), "chi-02", { window: null, containers: [container("databasus")] });
    expect(status(seen)).toMatchObject({
      state: "partly",
      open: ["chi-02 is not in maintenance", "chi-02: databasus is running"],
    });
    expect(text(seen)).toContain("chi-02  databasus                          running  not touched yet");
  });

  it("a note on a host that the stack file no longer names still counts", () => {
    const { extras: _, ...rest } = declared();
    expect(statusOf(downed(), { ...rest, extras: [] }, kamalProxy).hosts.map(({ name }) => name)).toEqual([
      "dal-01",
      "chi-02",
    ]);
    expect(statusOf(downed(), undefined, kamalProxy).state).toBe("on");
  });
});

describe("an end", () => {
  const end = { verb: "up", failed: [], left: [], maintenance: status(downed()) } as const;

  it("done, nothing to do, and not all of it", () => {
    expect(endLines({ ...end, result: "done" }, plain)).toEqual([
      "maintenance up: done, the app is down",
      "  next   bin/maintenance down production",
    ]);
    expect(endLines({ ...end, result: "nothing" }, plain)[0]).toBe(
      "maintenance up: nothing to do, the app is down already, since 2026-01-02 03:04:05 UTC (10 min 0 s), by alice@laptop pid 7",
    );
    expect(
      endLines({ ...end, result: "attention", failed: [{ host: "chi-02", why: "timed out" }] }, plain),
    ).toEqual([
      "✗ chi-02: timed out",
      "maintenance up: needs attention, not all of it could be done",
      "  next   mend what is named above, then bin/maintenance up production",
    ]);
  });
});
