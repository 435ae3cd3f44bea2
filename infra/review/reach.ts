import type { Finding, Place } from "./effect.ts";
import { quiet, unknown } from "./effect.ts";
import type { PreviewStep } from "./preview.ts";
import { textInput } from "./preview.ts";

/** What changes of the firewall and of the tailnet do: who reaches the stack, not what the stack does. */

const APPLY = /\/bin\/host-tool firewall apply /;
const GRANTS = /^\.\.\/bin\/tailnet grants /;

/** Undefined where it is another command. The stack's own hosts are listed always, so no router's writes are cut. */
export function firewallFinding(step: PreviewStep, place: Place): Finding | undefined {
  const what = "firewall";
  if (step.operation === "delete") {
    return APPLY.test(textInput(step.before, "create"))
      ? quiet(place, what, "is taken away: the stack's ports answer the whole tailnet")
      : undefined;
  }
  if (!APPLY.test(textInput(step.after, "create"))) return undefined;
  if (textInput(step.before, "stdin") === textInput(step.after, "stdin"))
    return quiet(place, what, "is set again, as it is");
  return quiet(
    place,
    what,
    "lets in the stack's hosts and its operators alone; whoever else is connected to the stack's ports is cut off",
  );
}

/** Undefined where it is nothing of the tailnet's. */
export function tailnetFinding(step: PreviewStep, place: Place): Finding | undefined {
  const { operation, name } = step;
  switch (step.type) {
    case "tailscale:index/deviceTags:DeviceTags":
      return operation === "delete"
        ? quiet(place, name, "leaves the state; the device keeps its tags")
        : unknown(
            place,
            name,
            "gives a device its tags: the tailnet's policy decides by them who reaches the host",
          );
    case "tailscale:index/deviceKey:DeviceKey":
      return quiet(
        place,
        name,
        operation === "delete"
          ? "leaves the state; the device's key stays as it is"
          : "says whether the device's key expires; nothing is cut off now",
      );
    case "tailscale:index/tailnetKey:TailnetKey":
      return quiet(
        place,
        name,
        operation === "delete"
          ? "is revoked; who used it stays"
          : "is made: it lets one host into the tailnet",
      );
    default:
      return undefined;
  }
}

/** Undefined where it is another command. */
export function grantsFinding(step: PreviewStep, place: Place): Finding | undefined {
  if (!GRANTS.test(textInput(step.after ?? step.before, "create"))) return undefined;
  const what = "grants";
  if (step.operation === "create")
    return quiet(place, what, "are added to the tailnet's policy file; they only ever allow");
  return unknown(
    place,
    what,
    step.operation === "delete"
      ? "leave the tailnet's policy file: who is let in by nothing else there is cut off"
      : "change in the tailnet's policy file: who is let in by nothing else there is cut off",
  );
}
