import { EXAMPLE, EXAMPLE_STACK } from "./example.ts";
import type { Key } from "./outline.ts";
import { outline } from "./outline.ts";
import { OWNED_PARAMETERS, OWNED_POOLER_SETTINGS } from "./rules-postgres.ts";

/** `docs/configuration.md`: the schema as an operator reads it. Pure: the same schema gives the same text. */
export function configurationReference(): string {
  const keys = outline();
  const sections = keys.filter(({ path }) => !/[.[]/.test(path));
  return [
    INTRODUCTION,
    ...sections.map((section) =>
      sectionText(
        section,
        keys.filter(({ path }) => path.startsWith(`${section.path}.`) || path.startsWith(`${section.path}[`)),
      ),
    ),
    identityText(keys),
    OWNED,
  ].join("\n");
}

const INTRODUCTION = `<!-- Generated from infra/config/schema.ts by \`node infra/cli/config-docs.ts\`. Do not edit. -->

# Configuration

A stack is one file, \`Pulumi.<stack>.yaml\`. Every command checks it whole before it touches anything: a wrong file gives
one report that names path, value, what is allowed and the fix: for everything that is wrong by itself, then for what does
not fit together.

## A worked example

Two sites, one of which runs an app beside it. Everything else has a default. \`Pulumi.production.yaml\` and
\`Pulumi.staging.yaml\` are larger ones.

\`Pulumi.${EXAMPLE_STACK}.yaml\`:

\`\`\`yaml
${EXAMPLE}\`\`\`

The first line lets an editor with a YAML language server complete keys and mark mistakes while you write
(\`docs/stack-config.schema.json\`). Rules between keys, such as two sites on one host, are checked by the commands alone.

## Secrets

Passwords stand in the file encrypted, each one by itself. Set or change one so (it is asked for, not typed into the
command line):

\`\`\`sh
pulumi config set --stack production --secret --path 'heatwave:secrets.superuserPassword'
pulumi config set --stack production --secret --path 'heatwave:secrets.roles.shop'
\`\`\`

Without \`--path\` Pulumi writes a key of the wrong name, and without \`--secret\` it writes the password as it is: both are
refused. Commands that need no password read the file without decrypting it, so they ask for no passphrase. The values in
the stack files that come with heatwave are examples: [replace them](decisions/0003-example-secrets.md) before real use.

## Changing what is there

\`heatwave:primary\` is the site that should take writes: what is intended, not what is observed. A cluster is founded at
the first site of the file. Changing the key changes no container, file or name: it previews as one changed resource, and
\`up\` then moves the writes by the runbook of a flip ([0016](decisions/0016-declared-switchover.md)). The health endpoints
say which site takes writes.
Keys marked **identity** below are names of things that exist: [what changing them does](#identity) is listed at the end.
`;

function sectionText(section: Key, keys: readonly Key[]): string {
  const head = `## heatwave:${section.path}\n\n${section.description}\n`;
  if (section.leaf) return `${head}\n${table([section], "")}`;
  return `${head}\n${requirement(section)}\n\n${table(keys, section.path)}`;
}

function requirement(section: Key): string {
  const kind = section.allowed.startsWith("list") ? "A list" : "A mapping";
  const fallback = Array.isArray(section.default) && section.default.length > 0;
  if (section.required) return `${kind}; required.`;
  return fallback
    ? `${kind}; may be left out (default: \`${JSON.stringify(section.default)}\`).`
    : `${kind}; may be left out.`;
}

function table(keys: readonly Key[], prefix: string): string {
  const rows = keys
    .filter((key) => key.leaf || key.description !== "")
    .map((key) => [
      `\`${key.path.slice(prefix.length).replace(/^\./, "")}\``,
      key.allowed,
      defaultText(key),
      `${key.description}${key.identity === undefined ? "" : " **Identity.**"}`,
    ]);
  return markdownTable(["key", "allowed", "default", "meaning"], rows);
}

function defaultText(key: Key): string {
  if (key.required) return key.path.endsWith("<name>") ? "" : "**required**";
  if (key.default === undefined) return key.leaf ? "none" : "";
  if (Array.isArray(key.default) && key.default.length === 0) return "none";
  if (typeof key.default === "object" && key.default !== null && Object.keys(key.default).length === 0)
    return "none";
  return `\`${typeof key.default === "string" ? key.default : JSON.stringify(key.default)}\``;
}

function identityText(keys: readonly Key[]): string {
  const rows = keys.flatMap((key) => (key.identity === undefined ? [] : [[`\`${key.path}\``, key.identity]]));
  return `## Identity

Names follow the place, never the role ([why](decisions/0004-names-by-place.md)): after a flip nothing is renamed. What
changing one of them does:

${markdownTable(["key", "changing it"], rows)}`;
}

const OWNED = `## What heatwave sets itself

Refused under \`postgres.parameters\`, because replication, the proof of a flip or the security of the stack rests on them:
${sentence(OWNED_PARAMETERS)}.

Refused under \`pgbouncer.parameters\`, because they have a key of their own above or the poolers rely on them:
${sentence(OWNED_POOLER_SETTINGS)}.
`;

function sentence(names: readonly string[]): string {
  return [...names]
    .sort()
    .map((name) => `\`${name}\``)
    .join(", ");
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cellText).join(" | ")} |`;
  return [line(head), `|${head.map(() => " --- |").join("")}`, ...rows.map(line), ""].join("\n");
}

/** Outside code, `<` would begin HTML. */
function cellText(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith("`") ? part : part.replaceAll("<", "\\<")))
    .join("")
    .replaceAll("|", "\\|");
}
