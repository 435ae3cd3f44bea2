import type { Slice, Spread } from "./figures.ts";

export interface PageModel {
  readonly title: string;
  readonly flips: number;
  readonly pooling: string;
  readonly gap: Spread;
  readonly floor: Spread;
  readonly rejoin: Spread;
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
  readonly writes: readonly Slice[];
}

const WIDTH = 860;
const HEIGHT = 260;
const LEFT = 56;
const BOTTOM = 32;

/** One page without anything from elsewhere: the figures, and the writes per second around a flip. */
export function renderPage(model: PageModel): string {
  const rows: readonly (readonly [string, string])[] = [
    ["write gap", spreadText(model.gap)],
    ["floor: bare stop and promote", spreadText(model.floor)],
    ["old primary streams again", spreadText(model.rejoin)],
    ...model.phases.map(({ name, ms }): readonly [string, string] => [name, `${ms} ms`]),
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${model.title}</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: ${WIDTH}px; color: #1c2330; padding: 0 1rem }
  h1 { font-size: 1.4rem } table { border-collapse: collapse; margin-top: 1.5rem } td { padding: .15rem 1.5rem .15rem 0 }
  td + td { text-align: right; font-variant-numeric: tabular-nums } svg text { font-size: 12px; fill: #5b6575 }
</style>
<h1>${model.title}</h1>
<p>${model.flips} flips, ${model.pooling} pooling. Acknowledged commits per second around one of them.</p>
${plot(model.writes)}
<table>
${rows.map(([name, value]) => `<tr><td>${name}</td><td>${value}</td></tr>`).join("\n")}
</table>
</html>
`;
}

function spreadText({ median, p95, max }: Spread): string {
  return `median ${median} ms, p95 ${p95} ms, longest ${max} ms`;
}

function plot(slices: readonly Slice[]): string {
  const top = Math.max(1, ...slices.map(({ perSecond }) => perSecond));
  const first = slices[0]?.at ?? 0;
  const last = slices.at(-1)?.at ?? 1;
  const x = (at: number): number => LEFT + ((at - first) / (last - first || 1)) * (WIDTH - LEFT);
  const y = (value: number): number => (HEIGHT - BOTTOM) * (1 - value / (top * 1.05));
  const width = ((WIDTH - LEFT) / slices.length) * 0.9;
  const bars = slices
    .map(
      ({ at, perSecond }) =>
        `<rect x="${x(at).toFixed(1)}" y="${y(perSecond).toFixed(1)}" width="${width.toFixed(1)}" height="${(HEIGHT - BOTTOM - y(perSecond)).toFixed(1)}" fill="#2f6fde"/>`,
    )
    .join("");
  const ticks = [first, first / 2, 0, -first / 2, -first]
    .map(
      (at) => `<text x="${x(at).toFixed(1)}" y="${HEIGHT - 10}" text-anchor="middle">${at / 1000} s</text>`,
    )
    .join("");
  const scale = [0, top / 2, top]
    .map(
      (value) =>
        `<text x="${LEFT - 8}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${Math.round(value)}</text>`,
    )
    .join("");
  return `<svg viewBox="0 0 ${WIDTH + 20} ${HEIGHT}" role="img" aria-label="acknowledged commits per second">${bars}${ticks}${scale}</svg>`;
}
