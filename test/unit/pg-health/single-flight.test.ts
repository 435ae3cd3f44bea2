import { describe, expect, it } from "vitest";
import { SingleFlight } from "../../../components/pg-health/sidecar/single-flight.ts";

describe("SingleFlight", () => {
  it("asks once for many at once, and again when the answer is old or forgotten", async () => {
    let asked = 0;
    let now = 0;
    const flight = new SingleFlight(
      () => Promise.resolve(++asked),
      100,
      () => now,
    );
    expect(await Promise.all([flight.get(), flight.get(), flight.get()])).toEqual([1, 1, 1]);
    now = 99;
    expect(await flight.get()).toBe(1);
    now = 100;
    expect(await flight.get()).toBe(2);
    flight.forget();
    expect(await flight.get()).toBe(3);
  });

  it("counts the age from the answer, not from the question", async () => {
    let now = 0;
    let asked = 0;
    const answers: ((value: number) => void)[] = [];
    const flight = new SingleFlight(
      () => new Promise<number>((resolve) => ((asked += 1), answers.push(resolve))),
      100,
      () => now,
    );
    const first = flight.get();
    now = 1000;
    answers[0]?.(7);
    expect(await first).toBe(7);
    now = 1050;
    expect(await flight.get()).toBe(7);
    expect(asked).toBe(1);
  });

  it("keeps no failure", async () => {
    let asked = 0;
    const flight = new SingleFlight(
      () => (++asked === 1 ? Promise.reject(new Error("no")) : Promise.resolve(asked)),
      1e9,
    );
    await expect(flight.get()).rejects.toThrow("no");
    expect(await flight.get()).toBe(2);
  });
});
