"use strict";
// The CLI's runner for policy packs `require`s its program, and knows neither ESM nor imports of .ts files.
module.exports = async () => {
  const { register } = await import("tsx/esm/api");
  register();
  await import("./pack.ts");
};
