import type { Feeling, Finding, Place } from "./effect.ts";
import { quiet, unknown } from "./effect.ts";
import type { ParameterChange } from "./parameters.ts";
import { changeText, parameterChanges, poolerChanges } from "./parameters.ts";
import type { PreviewStep } from "./preview.ts";
import { textInput } from "./preview.ts";
import type { ReviewedStack } from "./stack.ts";
import type { ToolCall } from "./texts.ts";
import { toolCall } from "./texts.ts";

type FileCall = Extract<ToolCall, { readonly verb: "file" }>;
type SecretCall = Extract<ToolCall, { readonly verb: "secret" }>;

/**
 * What a text or a secret does when `host-tool` puts it in force (components/docker-host/source/readers.sh,
 * docs/decisions/0006-files-on-hosts.md).
 */
export function fileFinding(step: PreviewStep, place: Place, stack: ReviewedStack): Finding | undefined {
  const after = toolCall(step.after);
  const before = toolCall(step.before);
  if (after?.verb === "file") {
    const what = fileName(after.path);
    if (step.before === undefined) return quiet(place, what, "is written; nothing reads it yet");
    if (before?.verb === "file" && isSame(before, after)) return quiet(place, what, STANDS);
    if (before?.verb === "file" && before.container !== after.container)
      return quiet(place, what, `is written for the container's new name, ${after.container}`);
    return readerFinding(step, after, place, stack);
  }
  if (after?.verb === "secret") return secretFinding(step, after, place);
  return undefined;
}

const STANDS = "is looked at again; the text is in force already";

const fileName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

const isSame = (before: FileCall, after: FileCall): boolean =>
  before.kind === after.kind &&
  before.container === after.container &&
  before.path === after.path &&
  before.hashes.join() === after.hashes.join();

function readerFinding(step: PreviewStep, call: FileCall, place: Place, stack: ReviewedStack): Finding {
  const what = fileName(call.path);
  const reload = (why: string, afterwards: readonly string[] = [], writes: Feeling = "nothing"): Finding => ({
    place,
    effect: "reload",
    writes,
    what,
    why,
    afterwards,
  });
  const [before, after] = [textInput(step.before, "stdin"), textInput(step.after, "stdin")];
  switch (call.kind) {
    case "haproxy":
      return reload("HAProxy reloads: open sessions stay, new connections are taken meanwhile");
    case "hba":
      return reload("PostgreSQL reloads: open sessions stay, new logins go by the new rules");
    case "ident":
      return reload("PostgreSQL reloads: open sessions stay");
    case "postgres":
      return postgresFinding(parameterChanges(before, after), place, stack, what);
    case "pooler":
      return poolerFinding(poolerChanges(before, after), place, what, call.container);
    case "restart":
      return {
        place,
        effect: "restart",
        writes: writesWithoutHealth(place, stack),
        what,
        why: `pg-health restarts: ${withoutHealth(stack)}`,
        afterwards: [],
      };
    case "program":
      return quiet(place, what, "a new program: it counts when pg-health restarts, with its configuration");
    case "script":
      return quiet(place, what, "a new script: it is read at the next start of its container");
    default:
      return unknown(place, what, `a kind of file that this review does not know: ${call.kind}`);
  }
}

/** What routers do while a site's health endpoint is away for a moment. */
export function withoutHealth({ failedChecks }: ReviewedStack): string {
  return failedChecks > 1
    ? `the routers keep the site up meanwhile, if it is back within ${failedChecks} checks`
    : "one failed check takes the site down (haproxy.check.fall is 1)";
}

export function writesWithoutHealth(place: Place, { failedChecks, primary }: ReviewedStack): Feeling {
  return failedChecks > 1 || (primary !== undefined && primary !== place.name) ? "nothing" : "unknown";
}

function postgresFinding(
  changes: readonly ParameterChange[],
  place: Place,
  stack: ReviewedStack,
  what: string,
): Finding {
  const atStart = changes.filter(({ takes }) => takes === "restart");
  const ofExtensions = changes.filter(({ takes }) => takes === "extension");
  const now = changes.filter(({ takes }) => takes === "reload");
  const parts = [
    now.length === 0 ? "PostgreSQL reloads" : `PostgreSQL reloads ${now.map(quoted).join(", ")}`,
    ...atStart.map(
      (change) => `${quoted(change)} waits for a restart of PostgreSQL, which \`up\` does not do`,
    ),
    ...ofExtensions.map(
      (change) => `${quoted(change)} counts now or at the next restart of PostgreSQL: its extension decides`,
    ),
  ];
  return {
    place,
    effect: "reload",
    writes: "nothing",
    what,
    why: parts.join("; "),
    afterwards: atStart.length === 0 ? [] : restarts(atStart, stack),
  };
}

const quoted = (change: ParameterChange): string => `\`${changeText(change)}\``;

/** In which order the sites are restarted, so that no standby has less than its primary. */
function restarts(changes: readonly ParameterChange[], stack: ReviewedStack): readonly string[] {
  const primary = stack.flipTo ?? stack.primary;
  if (primary === undefined) return [];
  const standbys = stack.sites.filter((site) => site !== primary);
  const restart = (site: string, note: string): string =>
    `bin/recovery ${stack.name} restart ${site}  # ${note}`;
  const [next] = standbys;
  // Lowered, only the primary's own restart lets the standbys follow (docs/decisions/0012-restart-only-parameters.md).
  if (changes.some(({ bound }) => bound === "lowered" || bound === "unknown"))
    return [
      restart(primary, "the primary first: writes pause while it restarts"),
      ...standbys.map((site) => restart(site, "then the standby")),
    ];
  return [
    ...standbys.map((site) => restart(site, "the standby first")),
    ...(next === undefined
      ? [restart(primary, "writes pause while it restarts")]
      : [
          `bin/recovery ${stack.name} flip-db --to ${next}  # when the applications may lose their sessions once`,
          restart(primary, "a standby by then"),
        ]),
  ];
}

function poolerFinding(
  changes: readonly ParameterChange[],
  place: Place,
  what: string,
  container: string,
): Finding {
  const atStart = changes.filter(({ takes }) => takes === "restart");
  const now = changes.filter(({ takes }) => takes === "reload");
  return {
    place,
    effect: "reload",
    writes: "nothing",
    what,
    why: [
      now.length === 0
        ? "PgBouncer reloads"
        : `PgBouncer reloads ${now.map(quoted).join(", ")}; sessions stay`,
      ...atStart.map(
        (change) => `${quoted(change)} waits for a restart of ${container}, which \`up\` does not do`,
      ),
    ].join("; "),
    afterwards: [],
  };
}

function secretFinding(step: PreviewStep, call: SecretCall, place: Place): Finding {
  const what = `secret ${call.path}`;
  if (step.before === undefined) return quiet(place, what, "is written; nothing reads it yet");
  if (!step.changed.includes("stdin") && step.changed.length > 0) return quiet(place, what, STANDS);
  const finding = (effect: "none" | "reload", why: string): Finding => ({
    place,
    effect,
    writes: "nothing",
    what,
    why,
    afterwards: [],
  });
  switch (call.kind) {
    case "users":
      return finding(
        "reload",
        "PgBouncer reloads its users: open sessions stay; an application that still has an old password is refused at its next login",
      );
    case "passfile":
      return finding("none", "the password that a standby logs in with; it counts at its next login");
    case "live":
      return finding("none", "pg-health reads it anew at each use");
    case "plain":
      return finding("none", "nothing that runs holds it");
    default:
      return unknown(place, what, `a kind of secret that this review does not know: ${call.kind}`);
  }
}
