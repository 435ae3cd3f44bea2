/**
 * Compiles a path pattern: `*` is anything but `/`, `**` anything, `?` one character but `/`, `[abc]` and `[!a-z]`
 * one of a set, `{a,b}` alternatives, `\` takes the next character as it is.
 * @throws Error when a bracket or brace is not closed
 */
export function compileGlob(pattern: string): RegExp {
  let source = "";
  let depth = 0;
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? "";
    switch (char) {
      case "*":
        if (pattern[at + 1] === "*") {
          source += ".*";
          at += 1;
        } else source += "[^/]*";
        break;
      case "?":
        source += "[^/]";
        break;
      case "[": {
        const end = pattern.indexOf("]", at + 2);
        if (end < 0) throw new Error(`the path pattern ${JSON.stringify(pattern)} has a [ without ]`);
        const set = pattern.slice(at + 1, end);
        source += `[${set.startsWith("!") ? `^${escapeSet(set.slice(1))}` : escapeSet(set)}]`;
        at = end;
        break;
      }
      case "{":
        depth += 1;
        source += "(?:";
        break;
      case "}":
        depth -= 1;
        source += ")";
        break;
      case ",":
        source += depth > 0 ? "|" : ",";
        break;
      case "\\":
        at += 1;
        source += escapeText(pattern[at] ?? "\\");
        break;
      default:
        source += escapeText(char);
    }
  }
  if (depth !== 0)
    throw new Error(`the path pattern ${JSON.stringify(pattern)} has { and } that do not match`);
  return new RegExp(`^${source}$`, "s");
}

const escapeText = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
const escapeSet = (text: string): string => text.replace(/[\\\]^]/g, "\\$&");

/** The paths that the rules choose, in order; a rule with `!` takes away what earlier ones gave. */
export function selectPaths(paths: readonly string[], rules: readonly string[]): readonly string[] {
  const compiled = rules.map((rule) => ({
    excludes: rule.startsWith("!"),
    pattern: compileGlob(rule.replace(/^!/, "")),
  }));
  return paths.filter((path) =>
    compiled.reduce((chosen, rule) => (rule.pattern.test(path) ? !rule.excludes : chosen), false),
  );
}
