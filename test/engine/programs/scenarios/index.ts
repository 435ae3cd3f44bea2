import { scenarios } from "./scenarios.ts";

/** The scenario and its step come from the test through the environment. */
const scenario = scenarios[process.env["SCENARIO"] ?? ""];
if (scenario === undefined) throw new Error(`no scenario ${String(process.env["SCENARIO"])}`);

export default () => scenario(Number(process.env["STEP"] ?? "1"));
