/** Options that make a command mean the same world as this one. */
export interface WorldOptions {
  readonly stack?: string | undefined;
  readonly configFile?: string | undefined;
  readonly world?: string | undefined;
}

/** Those options as a shell takes them, each with a space before it; empty when there are none. */
export function worldOptions({ stack, configFile, world }: WorldOptions): string {
  // A stack file's name tells the stack.
  const given = { stack: configFile === undefined ? stack : undefined, "config-file": configFile, world };
  return Object.entries(given)
    .map(([option, value]) => (value === undefined ? "" : ` --${option} ${quoted(value)}`))
    .join("");
}

/**
 * Completes every `bin/rehearse` in a hint with the options that mean the same world, before the verb, so that it can
 * be pasted. Hints are written without them: what makes a world does not know how it was asked for. `prune` and `--help`
 * are about no single world.
 */
export function sameWorld(hint: string, options: WorldOptions): string {
  return hint.replaceAll(
    /\bbin\/rehearse\b(?! (?:--help|prune)\b)/g,
    (command) => `${command}${worldOptions(options)}`,
  );
}

/** A word as a POSIX shell reads it back. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
