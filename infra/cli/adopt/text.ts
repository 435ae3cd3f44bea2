import type { Adoptable, Adoption } from "../../adoption/compare.ts";
import type { Paint } from "../engine/paint.ts";

/** What bin/adopt says, as lines. Pure. */

/** Host by host, container by container: what it is, and what it lacks. */
export function reportLines({ containers, objections }: Adoption, paint: Paint): readonly string[] {
  const hosts = [...new Set(containers.map(({ wanted }) => wanted.host))];
  const kamal = containers.flatMap(({ found }) =>
    found === undefined || found.service === "" ? [] : [`${found.name} (service ${found.service})`],
  );
  return [
    ...hosts.flatMap((host) => [
      paint.bold(host),
      ...containers.filter(({ wanted }) => wanted.host === host).flatMap((one) => containerLines(one, paint)),
    ]),
    ...(kamal.length === 0
      ? []
      : [
          "",
          `Made by Kamal: ${kamal.join(", ")}. Nobody may run \`kamal accessory reboot\` or \`remove\` for them from now on (docs/adoption.md).`,
        ]),
    ...(objections.length === 0 ? [] : ["", ...objections.map((why) => `${paint.red("✗")} ${why}`)]),
  ];
}

function containerLines({ wanted, found, lacks }: Adoptable, paint: Paint): readonly string[] {
  if (found === undefined) return [`  ${paint.red("✗")} ${wanted.container}: not there`];
  const mark = lacks.length === 0 ? paint.green("✓") : paint.yellow("!");
  const head = `  ${mark} ${wanted.container} ${paint.dim(`${found.id.slice(0, 12)}, ${found.state} since ${found.startedAt.slice(0, 19)}Z`)}`;
  const width = Math.max(0, ...lacks.map(({ what }) => what.length));
  return [
    head,
    ...lacks.map(
      ({ what, has, wants, because }) =>
        `      ${what.padEnd(width)}  ${has} → ${wants} ${paint.dim(`(${because})`)}`,
    ),
  ];
}

export function endLine({ containers }: Adoption): string {
  const lacking = containers.filter(({ lacks }) => lacks.length > 0).length;
  const lacks = containers.reduce((sum, one) => sum + one.lacks.length, 0);
  return lacks === 0
    ? `${containers.length} containers can be adopted, and lack nothing.`
    : `${containers.length} containers can be adopted as they are; ${lacking} of them lack ${lacks} things, which adopting leaves as they are.`;
}
