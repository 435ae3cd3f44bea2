import picocolors from "picocolors";

/** Colours, or nothing where they do not belong. */
export type Paint = ReturnType<typeof picocolors.createColors>;

/** Colours for a terminal; FORCE_COLOR asks for them elsewhere, NO_COLOR (any value but empty) forbids them. */
export function paintFor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Paint {
  const isForbidden = (env["NO_COLOR"] ?? "") !== "";
  const isForced = !["", "0"].includes(env["FORCE_COLOR"] ?? "");
  return picocolors.createColors(!isForbidden && (isForced || stream.isTTY === true));
}
