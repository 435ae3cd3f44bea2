/** haproxy.cfg as data, so that tests compare meaning, not text. */
export interface Section {
  /** global, defaults, resolvers, listen, backend. */
  readonly keyword: string;
  readonly name: string;
  /** Directives in words, without comments, in the file's order. */
  readonly lines: readonly (readonly string[])[];
}

export function parseHaproxyCfg(text: string): readonly Section[] {
  const sections: { keyword: string; name: string; lines: string[][] }[] = [];
  for (const line of text.split("\n")) {
    const words = line
      .replace(/#.*/, "")
      .trim()
      .split(/\s+/)
      .filter((word) => word !== "");
    if (words.length === 0) continue;
    if (/^\S/.test(line)) sections.push({ keyword: words[0]!, name: words[1] ?? "", lines: [] });
    else sections.at(-1)!.lines.push(words);
  }
  return sections;
}

/** A section that must be there. */
export function sectionOf(sections: readonly Section[], keyword: string, name = ""): Section {
  const found = sections.filter((section) => section.keyword === keyword && section.name === name);
  if (found.length !== 1) throw new Error(`${found.length} sections ${keyword} ${name}`);
  return found[0]!;
}

/** What follows a directive's words in a section, else in `defaults`; undefined where neither has it. */
export function valueOf(
  sections: readonly Section[],
  section: Section,
  directive: string,
): string | undefined {
  const words = directive.split(" ");
  const own = section.lines.find((line) => words.every((word, i) => line[i] === word));
  if (own !== undefined) return own.slice(words.length).join(" ");
  if (section.keyword === "defaults" || section.keyword === "global") return undefined;
  const defaults = sections.find(({ keyword }) => keyword === "defaults");
  return defaults === undefined ? undefined : valueOf(sections, defaults, directive);
}

export interface Server {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Runs a check of its own. */
  readonly check: boolean;
  /** Port of that check. */
  readonly checkPort: number | undefined;
  readonly track: string | undefined;
  readonly resolvers: string | undefined;
  /** Every word after the address, `default-server`'s first. */
  readonly options: readonly string[];
}

export function serversOf(section: Section): readonly Server[] {
  const defaults = section.lines.find(([word]) => word === "default-server")?.slice(1) ?? [];
  return section.lines
    .filter(([word]) => word === "server")
    .map(([, name, at, ...own]) => {
      const options = [...defaults, ...own];
      const after = (word: string) =>
        options.includes(word) ? options[options.indexOf(word) + 1] : undefined;
      const check = options.includes("check");
      const port = Number(at!.slice(at!.lastIndexOf(":") + 1));
      return {
        name: name!,
        address: at!.slice(0, at!.lastIndexOf(":")),
        port,
        check,
        checkPort: check ? Number(after("port") ?? port) : undefined,
        track: after("track"),
        resolvers: after("resolvers"),
        options,
      };
    });
}

/** The value of a server's option, e.g. `inter`. */
export function optionOf(server: Server, option: string): string | undefined {
  const at = server.options.indexOf(option);
  return at === -1 ? undefined : server.options[at + 1];
}
