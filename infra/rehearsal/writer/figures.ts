import type { Acknowledged, ErrorKind, Failed, Sample, WriterRecord } from "./records.ts";

/** The time between two acknowledged commits that follow each other, whichever clients wrote them. */
export interface Gap {
  readonly from: number;
  readonly to: number;
  readonly ms: number;
}

/** Something that was done to the world while the writer ran. */
export interface Mark {
  readonly name: string;
  /** Milliseconds on the monotonic clock. */
  readonly at: number;
}

export interface MarkFigures extends Mark {
  /** The longest gap that ended after the mark and before the next one. */
  readonly gapMs: number;
  /** Milliseconds from the mark to the end of that gap. */
  readonly writableAfterMs: number;
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
}

/** A row's name in the table: who wrote it, and its number. */
export function rowKey(client: string, sequence: number | string): string {
  return `${client} ${sequence}`;
}

export function acknowledgedOf(records: readonly WriterRecord[]): Acknowledged[] {
  return records
    .filter((record): record is Acknowledged => record.kind === "ack")
    .toSorted((a, b) => a.answered - b.answered);
}

export function failedOf(records: readonly WriterRecord[]): Failed[] {
  return records.filter((record): record is Failed => record.kind === "error");
}

/** Gaps in order of time. @param acknowledged in order of their answers */
export function gapsOf(acknowledged: readonly Acknowledged[]): Gap[] {
  return acknowledged.slice(1).map((row, index) => {
    const from = acknowledged[index]?.answered ?? row.answered;
    return { from, to: row.answered, ms: row.answered - from };
  });
}

export function longest(gaps: readonly Gap[]): Gap | undefined {
  return gaps.reduce<Gap | undefined>(
    (found, gap) => (found === undefined || gap.ms > found.ms ? gap : found),
    undefined,
  );
}

export function countErrors(failed: readonly Failed[]): Readonly<Partial<Record<ErrorKind, number>>> {
  return count(failed.map(({ error }) => error));
}

/** How often each word comes up. */
export function count(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** What happened from each mark to the next. An outage that has not ended counts until `now`. */
export function figuresOf(
  marks: readonly Mark[],
  records: readonly WriterRecord[],
  now: number,
): MarkFigures[] {
  const acknowledged = acknowledgedOf(records);
  const last = acknowledged.at(-1)?.answered ?? now;
  const gaps = [...gapsOf(acknowledged), { from: last, to: now, ms: now - last }];
  const failed = failedOf(records);
  return marks.map((mark, index) => {
    const end = marks[index + 1]?.at ?? now;
    const gap = longest(gaps.filter(({ from, to }) => to >= mark.at && from < end));
    return {
      ...mark,
      gapMs: gap?.ms ?? 0,
      writableAfterMs: Math.max(0, (gap?.to ?? mark.at) - mark.at),
      errors: countErrors(failed.filter(({ answered }) => answered >= mark.at && answered < end)),
    };
  });
}

/** A time in which an instance took every write that it was asked to. */
export interface Span {
  readonly site: string;
  /** Answer of its first accepted write. */
  readonly from: number;
  /** Sending of its last accepted write, which is at or after `from` unless there was only one. */
  readonly to: number;
}

/** Times of being writable: from one accepted write to the last before a refused one. */
export function spansOf(site: string, samples: readonly Sample[]): Span[] {
  const spans: Span[] = [];
  let open: { from: number; to: number } | undefined;
  for (const sample of samples) {
    if (!sample.writable) {
      open = undefined;
      continue;
    }
    if (open === undefined) {
      open = { from: sample.answered, to: sample.sent };
      spans.push({ site, ...open });
    } else {
      open = { from: open.from, to: sample.sent };
      spans[spans.length - 1] = { site, ...open };
    }
  }
  return spans;
}

/**
 * Pairs of instances that were writable at the same moment. A span of one write alone is the time from its sending to
 * its answer, and counts only where all of it lies in the other's span.
 */
export function overlapsOf(spans: readonly Span[]): (readonly [Span, Span])[] {
  const pairs = spans.flatMap((one, index) =>
    spans
      .slice(index + 1)
      .filter((other) => other.site !== one.site)
      .map((other): readonly [Span, Span] => [one, other]),
  );
  return pairs.filter(([one, other]) => overlap(one, other));
}

function overlap(one: Span, other: Span): boolean {
  const single = (span: Span): boolean => span.to < span.from;
  if (single(one) && single(other)) return false;
  const inside = (small: Span, large: Span): boolean => large.from <= small.to && small.from <= large.to;
  if (single(one)) return inside(one, other);
  if (single(other)) return inside(other, one);
  return Math.max(one.from, other.from) <= Math.min(one.to, other.to);
}
