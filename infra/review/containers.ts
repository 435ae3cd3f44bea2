import type { Finding, Place } from "./effect.ts";
import { quiet, unknown } from "./effect.ts";
import { withoutHealth, writesWithoutHealth } from "./files.ts";
import type { PreviewStep } from "./preview.ts";
import { textInput } from "./preview.ts";
import type { Box, ReviewedStack } from "./stack.ts";

const NAMES: Readonly<Partial<Record<Box, string>>> = {
  postgres: "PostgreSQL",
  "pg-health": "pg-health",
  pgbouncer: "PgBouncer",
  router: "HAProxy",
};

/** Inputs of a container that Docker changes in place (terraform-provider-docker's Update), or that only Pulumi reads. */
const IN_PLACE: ReadonlySet<string> = new Set([
  ...["restart", "maxRetryCount", "cpuShares", "cpuSet", "memory", "memorySwap", "memoryReservation"],
  ...["destroyGraceSeconds", "removeVolumes", "wait", "waitTimeout", "start", "logs", "attach"],
  "containerReadRefreshTimeoutMilliseconds",
]);

/** What becomes of a container (docs/operating.md, docs/decisions/0015-replacing-postgres.md). */
export function containerFinding(step: PreviewStep, box: Box, place: Place, stack: ReviewedStack): Finding {
  const what = NAMES[box];
  if (what === undefined)
    return unknown(place, `container ${step.name}`, "a container of no box of the stack");
  switch (step.operation) {
    case "import":
      return quiet(place, what, "its container is taken over as it is");
    case "create":
      return created(what, box, place, stack);
    case "delete":
      return deleted(what, box, place);
    case "replace":
      return replaced(step, what, box, place, stack);
    case "update":
      return updated(step, what, place);
    default:
      return unknown(place, what, `an operation that this review does not know: ${step.operation}`);
  }
}

function created(what: string, box: Box, place: Place, stack: ReviewedStack): Finding {
  const why =
    box === "postgres" && !stack.isNew
      ? "a new container; where it has no data yet, it takes a base backup from the primary"
      : "a new container";
  return { place, effect: "new", writes: "nothing", what, why, afterwards: [] };
}

function deleted(what: string, box: Box, place: Place): Finding {
  const isRouter = box === "router";
  return {
    place,
    effect: "removed",
    writes: isRouter ? "interrupted" : "nothing",
    what,
    why: isRouter
      ? "its container goes: applications that still use it reach no database"
      : box === "postgres"
        ? "its container goes; the data volume stays where it is"
        : "its container goes",
    afterwards: [],
  };
}

function updated(step: PreviewStep, what: string, place: Place): Finding {
  const others = step.changed.filter((key) => !IN_PLACE.has(key));
  if (others.length === 0 && step.changed.length > 0)
    return quiet(place, what, `Docker changes ${step.changed.join(", ")} in place`);
  return unknown(
    place,
    what,
    `its container changes in place: ${others.join(", ") || "no property is named"}`,
  );
}

function replaced(step: PreviewStep, what: string, box: Box, place: Place, stack: ReviewedStack): Finding {
  const because = reasonOf(step);
  const finding = (writes: Finding["writes"], why: string, afterwards: readonly string[] = []): Finding => ({
    place,
    effect: "replace",
    writes,
    what,
    why: `${why} (${because})`,
    afterwards,
  });
  if (step.before?.protect === true) return taken(finding, box, place, stack);
  const role = stack.primary === undefined ? "unknown" : stack.primary === place.name ? "primary" : "standby";
  switch (box) {
    case "postgres":
      return postgresReplaced(finding, role, place, stack);
    case "pg-health":
      return finding(writesWithoutHealth(place, stack), `the container is replaced: ${withoutHealth(stack)}`);
    case "pgbouncer":
      if (role === "standby")
        return finding(
          "nothing",
          "the container is replaced: no writes go through it while the site is a standby",
        );
      return finding(
        role === "primary" ? "interrupted" : "unknown",
        "the container is replaced: every session through it ends, and new ones are refused until it listens again. To spare the writes, change the standby's alone, `up`, flip, then this one",
      );
    default:
      return finding(
        "interrupted",
        "the container is replaced: every session through this router ends, and those of its stand-in end once it is back; new ones on its Docker network are served throughout",
      );
  }
}

/** Only what was adopted is protected: its site is converted, which goes before. */
function taken(
  finding: (writes: Finding["writes"], why: string) => Finding,
  box: Box,
  place: Place,
  stack: ReviewedStack,
): Finding {
  const feels = box === "router" || stack.primary === undefined || stack.primary === place.name;
  return finding(
    feels ? "interrupted" : "nothing",
    "heatwave's container takes the place of the one that was found",
  );
}

function postgresReplaced(
  finding: (writes: Finding["writes"], why: string, afterwards?: readonly string[]) => Finding,
  role: "primary" | "standby" | "unknown",
  place: Place,
  stack: ReviewedStack,
): Finding {
  if (role === "standby")
    return finding(
      "nothing",
      "the container is replaced; `up` waits until the standby has caught up again. Meanwhile nobody could take over from the primary, if there is no other standby",
    );
  if (role === "primary")
    return finding("refused", "`up` refuses: the primary's container is never replaced", [
      flipAway(stack, place),
      "pulumi up  # the old primary is a standby then, and its container goes",
    ]);
  return finding(
    "unknown",
    "the container is replaced, if it is a standby's; the preview does not say who is primary",
  );
}

function flipAway(stack: ReviewedStack, place: Place): string {
  const target = stack.sites.find((site) => site !== place.name);
  return target === undefined
    ? `stop ${place.name} by hand when that suits the applications: there is no other site`
    : `bin/recovery ${stack.name} flip-db --to ${target}`;
}

/** What made it a replacement, images as a reader compares them. */
function reasonOf(step: PreviewStep): string {
  const keys = step.replacing.length > 0 ? step.replacing : step.changed;
  const [before, after] = [textInput(step.before, "image"), textInput(step.after, "image")];
  return keys
    .map((key) =>
      key === "image" && before !== "" ? `image \`${shortImage(before)}\` → \`${shortImage(after)}\`` : key,
    )
    .join(", ");
}

/** `postgres:18.4-bookworm@sha256:1961f96e6029` */
function shortImage(image: string): string {
  return image.replace(/@sha256:([0-9a-f]{12})[0-9a-f]*$/, "@sha256:$1");
}
