/** A colour's sequence, or one character. */
const PIECE = /\u001b\[[0-9;]*m|[^]/gu;
const RESET = "\u001b[0m";
/** Less room than this is not worth wrapping into. */
const LEAST_WIDTH = 20;
/** How much further a continuation is indented than its line. */
const HANG = 4;

/**
 * A line and its continuations, each begun by `prefix` (of continuations: `nextPrefix`) and at most `columns` wide.
 * Words are kept whole where they fit; colours go on across the break.
 * @param columns - width of the terminal; undefined = no terminal: the line stays one.
 */
export function wrapLine(
  prefix: string,
  line: string,
  columns: number | undefined,
  nextPrefix = prefix,
): readonly string[] {
  if (columns === undefined) return [prefix + line];
  const indent = " ".repeat((/^ */.exec(line)?.[0].length ?? 0) + HANG);
  const first = columns - widthOf(prefix);
  const next = columns - widthOf(nextPrefix) - indent.length;
  if (next < LEAST_WIDTH || widthOf(line) <= first) return [prefix + line];
  const [head = "", ...rest] = broken(line, first, next);
  return [prefix + head, ...rest.map((part) => nextPrefix + indent + part)];
}

const widthOf = (text: string): number => (text.match(PIECE) ?? []).filter((piece) => !isColor(piece)).length;

/** Parts of a line, the first at most `first` wide, the others `next`. */
function broken(line: string, first: number, next: number): readonly string[] {
  const pieces = line.match(PIECE) ?? [];
  const parts: string[] = [];
  let colors: readonly string[] = [];
  let begin = 0;
  while (begin < pieces.length) {
    const end = breakAt(pieces, begin, parts.length === 0 ? first : next);
    const opening = colors.join("");
    for (const piece of pieces.slice(begin, end)) colors = afterPiece(colors, piece);
    const closing = colors.length > 0 && end < pieces.length ? RESET : "";
    parts.push(opening + pieces.slice(begin, end).join("").trimEnd() + closing);
    begin = end;
  }
  return parts;
}

/** Where the part that begins there ends: after its last space, or, without a space, where the room ends. */
function breakAt(pieces: readonly string[], begin: number, room: number): number {
  let width = 0;
  let space: number | undefined;
  let hasWord = false;
  for (let index = begin; index < pieces.length; index += 1) {
    const piece = pieces[index] ?? "";
    if (isColor(piece)) continue;
    if (width === room) return space ?? index;
    width += 1;
    if (piece !== " ") hasWord = true;
    else if (hasWord) space = index + 1;
  }
  return pieces.length;
}

const isColor = (piece: string): boolean => piece.startsWith("\u001b[");

/** The colours in force after a piece. */
function afterPiece(colors: readonly string[], piece: string): readonly string[] {
  if (!isColor(piece)) return colors;
  const code = Number(/\d+/.exec(piece)?.[0] ?? "0");
  if (code === 0) return [];
  if (code === 39) return colors.filter((color) => !/\[(3|9)\d/.test(color));
  if (code === 22) return colors.filter((color) => !/\[[12]m/.test(color));
  return [...colors, piece];
}
