import { containerFinding } from "./containers.ts";
import type { Finding, Place } from "./effect.ts";
import { quiet, unknown } from "./effect.ts";
import { fileFinding } from "./files.ts";
import type { PreviewStep } from "./preview.ts";
import { textInput } from "./preview.ts";
import { firewallFinding, grantsFinding, tailnetFinding } from "./reach.ts";
import type { ReviewedStack } from "./stack.ts";
import { boxOf, isSwitchover, placeOf } from "./stack.ts";
import { toolCall } from "./texts.ts";

const CONTAINER = "docker:index/container:Container";
const VOLUME = "docker:index/volume:Volume";
const NETWORK = "docker:index/network:Network";
const IMAGE = "docker:index/remoteImage:RemoteImage";
const COMMAND = "command:remote:Command";
const LOCAL = "command:local:Command";
const COPY = "command:remote:CopyToRemote";

/** Operations that touch nothing outside the state. */
const HARMLESS: ReadonlySet<string> = new Set(["same", "read", "discard", "remove-pending-replace"]);

/** What one step of the preview does; nothing for what is only structure. */
export function findingsOf(step: PreviewStep, stack: ReviewedStack): readonly Finding[] {
  if (isSwitchover(step) && !HARMLESS.has(step.operation)) return switchoverFindings(step, stack);
  const finding = findingOf(step, stack);
  return finding === undefined ? [] : [finding];
}

function findingOf(step: PreviewStep, stack: ReviewedStack): Finding | undefined {
  const place = placeOf(step, stack);
  if (step.operation === "same" && step.before?.protect === true && step.after?.protect === false)
    return quiet(place, step.name, "is no longer protected from deletion");
  if (HARMLESS.has(step.operation)) return undefined;
  if (step.type === "pulumi:pulumi:Stack" || step.type.startsWith("heatwave:")) return undefined;
  const box = boxOf(step);
  switch (step.type) {
    case CONTAINER:
      return containerFinding(step, box, place, stack);
    case VOLUME:
      return volumeFinding(step, place);
    case NETWORK:
      return networkFinding(step, place);
    case IMAGE:
      return step.operation === "delete"
        ? quiet(place, "image", "leaves the state; it stays on the host (keepLocally)")
        : quiet(place, "image", `is pulled: \`${textInput(step.after, "name")}\``);
    case COPY:
      return quiet(place, step.name, "a copy that nobody reads; the command beside it makes it count");
    case COMMAND:
      return commandFinding(step, place, stack);
    case LOCAL:
      return localFinding(step, place);
    case "pulumi:providers:docker":
      return providerFinding(step, place);
    default:
      return step.type.startsWith("pulumi:providers:")
        ? quiet(place, step.name, "a provider, which is only in the state")
        : (tailnetFinding(step, place) ??
            unknown(place, step.name, `a resource type that this review does not know: ${step.type}`));
  }
}

function switchoverFindings(step: PreviewStep, stack: ReviewedStack): readonly Finding[] {
  const place: Place = { kind: "stack", name: stack.name };
  const what = "switchover";
  if (step.operation === "delete") return [quiet(place, what, "leaves the state; nothing is moved")];
  if (step.before === undefined) return [quiet(place, what, "is declared; new, it moves no running cluster")];
  const { primary, flipTo } = stack;
  if (primary === undefined || flipTo === undefined)
    return [quiet(place, what, "runs again, for the site that takes the writes already")];
  const flip = (where: Place, why: string): Finding => ({
    place: where,
    effect: "flip",
    writes: "flip",
    what,
    why,
    afterwards: [],
  });
  return [
    flip(
      { kind: "site", name: primary },
      `PostgreSQL stops cleanly, its sessions end once, and it follows ${flipTo} afterwards`,
    ),
    flip(
      { kind: "site", name: flipTo },
      `takes the writes, once it provably has all that ${primary} acknowledged. Where it has them already, after a flip by hand, nothing moves`,
    ),
    ...stack.routers.map((name) =>
      flip({ kind: "router", name }, "new connections wait here meanwhile; none is refused"),
    ),
  ];
}

/** Commands on the machine that runs the `up` (docs/decisions/0023-migration.md). */
function localFinding(step: PreviewStep, place: Place): Finding {
  if (step.name === "places")
    return quiet(
      place,
      "places",
      "notes where hosts and sites are; what moves is looked at first, and refused where it would hurt",
    );
  if (step.name.endsWith("-retirement"))
    return step.operation === "delete"
      ? quiet(place, step.name, "leaves the state; nothing is done")
      : quiet(
          place,
          step.name,
          "stops the site that retires, and the others forget it; refused while it takes writes or holds the only other copy",
        );
  return (
    grantsFinding(step, place) ??
    unknown(place, step.name, `a command that this review does not know: ${step.type}`)
  );
}

function volumeFinding(step: PreviewStep, place: Place): Finding {
  const what = "data volume";
  switch (step.operation) {
    case "import":
      return quiet(place, what, "is taken over as it is");
    case "create":
      return {
        place,
        effect: "new",
        writes: "nothing",
        what,
        why: "a volume of that name is made where there is none",
        afterwards: [],
      };
    case "delete":
      return step.before?.retainOnDelete === true
        ? quiet(place, what, "leaves the state; it stays on the host, with its data (retainOnDelete)")
        : unknown(place, what, "is DELETED, with the data: it is not retained");
    default:
      return unknown(
        place,
        what,
        `would be another, empty volume (${step.changed.join(", ")}); the old one stays where it is, with the data`,
      );
  }
}

function networkFinding(step: PreviewStep, place: Place): Finding {
  const what = "Docker network";
  if (step.operation === "create" || step.operation === "import") return quiet(place, what, "is made");
  return unknown(place, what, "changes below every container of the host");
}

function providerFinding(step: PreviewStep, place: Place): Finding {
  const what = "connection to Docker";
  if (step.operation === "create") return quiet(place, what, "a host that is new to the stack");
  if (step.operation === "delete") return quiet(place, what, "the host leaves the stack");
  const before = textInput(step.before, "host");
  const after = textInput(step.after, "host");
  if (step.operation === "update" && before === after)
    return quiet(place, what, "the options of its SSH connection change; nothing on the host does");
  return unknown(place, what, `goes to another address: \`${before}\` → \`${after}\``);
}

const OBJECTS = /^docker exec -i \S+ psql /;
const FOUNDING = /pg-health\.mjs found /;
const NETWORK_CHECK = /^docker network inspect /;
const TOOL = /\/bin\/host-tool' # sha256:/;

function commandFinding(step: PreviewStep, place: Place, stack: ReviewedStack): Finding {
  const firewall = firewallFinding(step, place);
  if (firewall !== undefined) return firewall;
  // None of our other commands has a `delete`: what leaves the state stays as it is on the host.
  if (step.operation === "delete") {
    const undo = textInput(step.before, "delete");
    return undo === ""
      ? quiet(place, step.name, "leaves the state; nothing is run")
      : unknown(place, step.name, "a command is run for its deletion");
  }
  const file = fileFinding(step, place, stack);
  if (file !== undefined) return file;
  const call = toolCall(step.after);
  if (call?.verb === "folder")
    return quiet(place, "folders", "are made or given their modes; nothing reads them anew");
  if (call?.verb === "space") return quiet(place, "room for WAL", "is checked again");
  if (call?.verb === "settings")
    return quiet(
      place,
      "host settings",
      step.before === undefined
        ? "are made (sysctl, live-restore) or looked at (clock, sshd)"
        : "are made or looked at again (sysctl, live-restore, clock, sshd); no container is touched",
    );
  const line = textInput(step.after, "create");
  if (FOUNDING.test(line)) return foundingFinding(step, place, stack);
  if (OBJECTS.test(line))
    return quiet(place, "roles, databases, slots", "are ensured by SQL at the primary; sessions stay");
  if (step.name.endsWith("-conversion")) return conversionFinding(step, place, stack);
  if (step.name.endsWith("-preparation"))
    return quiet(
      place,
      step.name,
      "what was found gets two roles, slots and lines of pg_hba.conf for heatwave's standbys, where it is the primary; sessions stay",
    );
  if (NETWORK_CHECK.test(line))
    return quiet(place, "Docker network", "is only checked: it is somebody else's");
  if (TOOL.test(line)) return quiet(place, "host-tool", "is installed; it runs when a later step calls it");
  return unknown(place, step.name, "a command that this review does not know");
}

/** A site that ran as it was found (docs/adoption.md). */
function conversionFinding(step: PreviewStep, place: Place, stack: ReviewedStack): Finding {
  const what = "conversion";
  if (step.before !== undefined)
    return quiet(place, what, "looks first, and does nothing where the site has a grant");
  const primary = stack.primary === undefined || stack.primary === place.name;
  return {
    place,
    effect: "replace",
    writes: primary ? "interrupted" : "nothing",
    what,
    why: primary
      ? "PostgreSQL is stopped cleanly, and starts as heatwave's on the same data: writes pause, sessions end. Refused where there is another site to flip to"
      : "PostgreSQL is stopped cleanly, and starts as heatwave's on the same data. Refused where it takes the writes, and where it does not stream",
    afterwards: [],
  };
}

function foundingFinding(step: PreviewStep, place: Place, stack: ReviewedStack): Finding {
  const what = "founding";
  if (step.before !== undefined)
    return quiet(place, what, "looks first, and does nothing where there is data");
  return {
    place,
    effect: "new",
    writes: "nothing",
    what,
    why: stack.isNew
      ? place.name === stack.sites[0]
        ? "makes the cluster, if no site has data and all answer"
        : "takes a base backup from the first site"
      : "takes a base backup from the primary, which goes on",
    afterwards: [],
  };
}
