/** Imports run one way: stacks → components → infra. Renderers and runbooks know nothing of Pulumi. */
module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "nothing-imports-stacks",
      severity: "error",
      from: { path: "^(components|infra)/" },
      to: { path: "^stacks/" },
    },
    {
      name: "infra-does-not-import-components",
      severity: "error",
      comment: "infra/cli is a top like stacks and may import a box's pure renderer, never its class",
      from: { path: "^infra/(?!cli/)" },
      to: { path: "^components/" },
    },
    {
      name: "components-use-only-the-pure-part-of-infra",
      severity: "error",
      from: { path: "^components/" },
      to: { path: "^infra/(cli|runbooks|engine|rehearsal|policy)/" },
    },
    {
      name: "only-components-and-stacks-import-pulumi",
      severity: "error",
      comment: "the embedded engine uses the SDK's protocol stubs, and the policy pack its own SDK",
      from: { path: "^(infra/(?!engine/|policy/)|components/.*/(render|sidecar|source)/)" },
      to: { path: "node_modules/@pulumi/" },
    },
    {
      name: "the-sidecar-stands-alone",
      severity: "error",
      comment: "it is bundled to one file and runs in a container of its own",
      from: { path: "^components/pg-health/sidecar/" },
      to: { path: "^(stacks|infra|components/(?!pg-health/sidecar/))" },
    },
    {
      name: "no-test-code-in-the-product",
      severity: "error",
      from: { path: "^(stacks|components|infra)/" },
      to: { path: "^test/" },
    },
    {
      name: "no-dev-dependency-in-the-product",
      severity: "error",
      from: { path: "^(stacks|components|infra)/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
