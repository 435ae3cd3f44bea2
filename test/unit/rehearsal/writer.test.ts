import { describe, expect, test } from "vitest";
import { kindOf } from "../../../infra/rehearsal/writer/errors.ts";
import { figuresOf, overlapsOf, spansOf } from "../../../infra/rehearsal/writer/figures.ts";
import type { Sample, WriterRecord } from "../../../infra/rehearsal/writer/records.ts";
import { parseLines } from "../../../infra/rehearsal/writer/records.ts";
import { NOTHING } from "../../support/nothing.ts";

const ack = (answered: number, sequence = answered): WriterRecord => ({
  ...{ kind: "ack", client: "a", sequence, sent: answered - 1, answered },
  ...{ backend: 1, instance: "dal-01" },
});
const error = (answered: number): WriterRecord => ({
  ...{ kind: "error", client: "a", sequence: answered, sent: answered - 1, answered },
  ...{ error: "refused", code: "ECONNREFUSED", message: "" },
});
const sample = (sent: number, writable: boolean): Sample => ({
  ...{ sent, answered: sent + 2, writable, code: writable ? "" : "25006" },
});

describe("the kind of an error", () => {
  test.each([
    [{ code: "ECONNREFUSED" }, false, "refused"],
    [{ code: "ENOTFOUND" }, false, "unreachable"],
    [{ code: "ECONNRESET" }, false, "reset before authentication"],
    [{ code: "ECONNRESET" }, true, "reset"],
    [{ message: "Connection terminated unexpectedly" }, false, "reset before authentication"],
    [{ message: "Connection terminated unexpectedly" }, true, "reset"],
    [{ message: "Connection terminated due to connection timeout" }, false, "timeout"],
    [{ message: "Query read timeout" }, true, "timeout"],
    [{ code: "25006", message: "cannot execute INSERT in a read-only transaction" }, true, "read-only"],
    [{ code: "57014", message: "canceling statement due to statement timeout" }, true, "other"],
    [{ code: "57P01", message: "terminating connection" }, true, "other"],
  ])("%j, let in: %s, is %s", (given, open, kind) => {
    expect(kindOf(given, open).kind).toBe(kind);
  });
});

describe("figures of a mark", () => {
  test("are the longest gap that ends after it, and the time to its end", () => {
    const records = [ack(100), ack(110), error(130), error(150), ack(400), ack(410), ack(900)];
    expect(figuresOf([{ name: "kill", at: 120 }], records.slice(0, -1), 415)).toEqual([
      { name: "kill", at: 120, gapMs: 290, writableAfterMs: 280, errors: { refused: 2 } },
    ]);
  });

  test("end with the next mark, and count an outage that goes on until now", () => {
    const records = [ack(100), ack(110), ack(200), ack(210), error(300)];
    const [first, second] = figuresOf(
      [
        { name: "one", at: 105 },
        { name: "two", at: 205 },
      ],
      records,
      1000,
    );
    expect(first).toMatchObject({ gapMs: 90, errors: NOTHING });
    expect(second).toMatchObject({ gapMs: 790, writableAfterMs: 795, errors: { refused: 1 } });
  });
});

describe("writable instances", () => {
  const spans = (site: string, ...times: readonly (readonly [number, boolean])[]) =>
    spansOf(
      site,
      times.map(([at, writable]) => sample(at, writable)),
    );

  test("are two where one took writes before and after the other did", () => {
    const one = spans("a", [10, true], [20, true], [30, true]);
    expect(overlapsOf([...one, ...spans("b", [15, true], [25, true])])).toHaveLength(1);
    expect(overlapsOf([...one, ...spans("b", [15, true])])).toHaveLength(1);
  });

  test("are one where the other had refused in between", () => {
    const before = spans("a", [10, true], [20, true], [30, false], [60, false]);
    expect(overlapsOf([...before, ...spans("b", [25, false], [35, true], [45, true])])).toEqual([]);
    const again = spans("a", [10, true], [20, false], [50, true], [60, true]);
    expect(overlapsOf([...again, ...spans("b", [30, true], [40, true])])).toEqual([]);
  });
});

test("a line that a kill cut short is left out, and so are the zeros of a lost page", () => {
  expect(parseLines('{"a":1}\n\0\0\n{"a":2}\n{"a":3')).toEqual([{ a: 1 }, { a: 2 }]);
});
