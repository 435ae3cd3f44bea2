import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/live/**", "node_modules/**"],
    // One file, one process: the Pulumi runtime keeps its monitor in module state.
    pool: "forks",
    restoreMocks: true,
    unstubEnvs: true,
    testTimeout: 20_000,
  },
});
