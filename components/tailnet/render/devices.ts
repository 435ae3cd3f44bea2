import type { Finding } from "../../../infra/config/problem.ts";

/** What is made of the answers to look-ups of hosts' devices. Pure. */

/** A host that names its device. */
export interface NamedHost {
  readonly name: string;
  readonly device: string;
  /** The recorded tailnet address, which everything uses. */
  readonly address: string;
}

/** As the tailnet has it; the provider's own words. */
export interface Device {
  readonly nodeId: string;
  readonly addresses: readonly string[];
  readonly authorized: boolean;
  readonly keyExpiryDisabled: boolean;
  /** RFC 3339 */
  readonly expires: string;
}

/** `silent`: nothing is known, for that reason. `missing`: the tailnet was asked and has none. */
export type Answer =
  | { readonly kind: "found"; readonly device: Device }
  | { readonly kind: "missing" }
  | { readonly kind: "silent"; readonly reason: string };

export interface Verdict {
  /** What stops a run before anything is touched: the recorded address is not what it is taken for. */
  readonly findings: readonly Finding[];
  readonly warnings: readonly string[];
}

const WITHOUT = "or remove the key: then the recorded address counts, unchecked";
const DAY_MS = 86_400_000;

/** @param warningDays a key that expires sooner is named */
export function judge(host: NamedHost, answer: Answer, now: Date, warningDays: number): Verdict {
  const path = ["hosts", host.name, "device"];
  switch (answer.kind) {
    case "silent":
      return {
        findings: [],
        warnings: [
          `${host.name}: device ${host.device} was not looked up, so ${host.address} is used unchecked: ${answer.reason}`,
        ],
      };
    case "missing":
      return refused({
        path,
        value: host.device,
        allowed: "the name of a device in the tailnet",
        fix: `correct it (\`tailscale status\` lists them), ${WITHOUT}`,
      });
    case "found":
      return judgeDevice(host, answer.device, now, warningDays);
  }
}

function judgeDevice(host: NamedHost, device: Device, now: Date, warningDays: number): Verdict {
  const path = ["hosts", host.name, "device"];
  if (!device.authorized) {
    return refused({
      path,
      value: host.device,
      allowed: "an authorised device; this one waits for approval",
      fix: `approve it in the admin console (Machines), ${WITHOUT}`,
    });
  }
  if (!device.addresses.includes(host.address)) {
    const own = device.addresses.filter((address) => address.includes("."));
    return refused({
      path: ["hosts", host.name, "address"],
      value: host.address,
      allowed: `${own.join(" or ")}, which the tailnet has for device ${host.device}`,
      fix: "write it if the same machine got another address; another machine is another host of another name",
    });
  }
  return { findings: [], warnings: expiry(host, device, now, warningDays) };
}

function expiry(host: NamedHost, device: Device, now: Date, warningDays: number): string[] {
  if (device.keyExpiryDisabled) return [];
  const left = (Date.parse(device.expires) - now.getTime()) / DAY_MS;
  if (Number.isNaN(left) || left >= warningDays) return [];
  const when =
    left < 0
      ? "has expired: nothing reaches the host any more"
      : `expires in ${left < 1 ? "less than a day" : `${Math.floor(left)} day${left < 2 ? "" : "s"}`}: then nothing reaches the host any more`;
  return [
    `${host.name}: the key of device ${host.device} ${when}; fix: tailscale up --force-reauth there, or heatwave:tailnet.keyExpiry: false`,
  ];
}

const refused = (finding: Finding): Verdict => ({ findings: [finding], warnings: [] });
