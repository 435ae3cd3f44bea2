import { describe, expect, it } from "vitest";
import type { Answer, Device } from "../../../components/tailnet/render/devices.ts";
import { judge } from "../../../components/tailnet/render/devices.ts";

const HOST = { name: "dal-01", device: "dal-01", address: "100.123.47.52" };
const NOW = new Date("2026-11-26T12:00:00Z");
const device = (more: Partial<Device> = {}): Answer => ({
  kind: "found",
  device: {
    nodeId: "n1",
    addresses: ["100.123.47.52", "fd7a:115c:a1e0::1"],
    authorized: true,
    keyExpiryDisabled: false,
    expires: "2027-04-01T00:00:00Z",
    ...more,
  },
});
const verdict = (answer: Answer) => judge(HOST, answer, NOW, 14);

describe("a host's device", () => {
  it("that is as recorded says nothing", () => {
    expect(verdict(device())).toEqual({ findings: [], warnings: [] });
  });

  it.each([
    ["2026-12-09T12:00:00Z", /expires in 13 days/],
    ["2026-11-27T13:00:00Z", /expires in 1 day:/],
    ["2026-11-26T13:00:00Z", /expires in less than a day/],
    ["2026-11-26T11:00:00Z", /has expired/],
  ])("whose key expires at %s is named in time, and stops nothing", (expires, said) => {
    const { findings, warnings } = verdict(device({ expires }));
    expect(findings).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(said)]);
    expect(warnings[0]).toMatch(/fix: tailscale up --force-reauth/);
  });

  it("whose key is far from expiring, or never expires, is not named", () => {
    expect(verdict(device({ expires: "2026-12-10T12:00:01Z" })).warnings).toEqual([]);
    expect(verdict(device({ expires: "2020-01-01T00:00:00Z", keyExpiryDisabled: true })).warnings).toEqual(
      [],
    );
    expect(verdict(device({ expires: "0001-01-01T00:00:00Z", keyExpiryDisabled: true })).warnings).toEqual(
      [],
    );
  });

  it("that has another address stops the run, with the address that it has", () => {
    const { findings } = verdict(device({ addresses: ["100.9.9.9", "fd7a::1"] }));
    expect(findings).toEqual([
      {
        path: ["hosts", "dal-01", "address"],
        value: "100.123.47.52",
        allowed: "100.9.9.9, which the tailnet has for device dal-01",
        fix: expect.stringMatching(/same machine/) as string,
      },
    ]);
  });

  it("that nobody answers for is used unchecked, and that is said", () => {
    const { findings, warnings } = verdict({ kind: "silent", reason: "no answer" });
    expect(findings).toEqual([]);
    expect(warnings).toEqual([
      "dal-01: device dal-01 was not looked up, so 100.123.47.52 is used unchecked: no answer",
    ]);
  });
});
