import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/live/**/*.test.ts"],
    // One world at a time: two cores, and the tests share it.
    fileParallelism: false,
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 900_000,
  },
});
